;;! emit = "clif"
;;! function = "adapter"
;;! names = "symbols"
;;! covers = "builtin-lend-mark, builtin-lend-push, builtin-lend-release"
;; An owned handle after a borrowed one may be the same: what was lent cannot be given away.
(component
  (component $back
    (type $r' (resource (rep i32)))
    (export $r "r" (type $r'))
    (core module $m (func (export "f") (param i32 i32)))
    (core instance $m (instantiate $m))
    (func (export "f") (param "lent" (borrow $r)) (param "given" (own $r))
      (canon lift (core func $m "f"))))
  (component $front
    (import "r" (type $r (sub resource)))
    (import "f" (func $f (param "lent" (borrow $r)) (param "given" (own $r))))
    (core func $f (canon lower (func $f)))
    (core module $m
      (import "" "f" (func $f (param i32 i32)))
      (func (export "run") (call $f (i32.const 1) (i32.const 1))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") (canon lift (core func $m "run"))))
  (instance $back (instantiate $back))
  (alias export $back "r" (type $r))
  (instance $front (instantiate $front (with "f" (func $back "f")) (with "r" (type $r))))
  (export "run" (func $front "run")))
