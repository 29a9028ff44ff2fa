;;! emit = "clif"
;;! function = "adapter"
;; An instance that can be called back: the lend is recorded, and the call counts its own borrowed
;; handles, which name its count.
(component
  (import "r" (type $r (sub resource)))
  (core func $drop (canon resource.drop $r))
  (core module $m
    (import "" "drop" (func $drop (param i32)))
    (func (export "f") (param i32) (call $drop (local.get 0))))
  (core instance $m (instantiate $m (with "" (instance (export "drop" (func $drop))))))
  (func $f (param "r" (borrow $r)) (canon lift (core func $m "f")))
  (core func $f (canon lower (func $f)))
  (core module $n
    (import "" "f" (func $f (param i32)))
    (table 1 funcref)
    (elem (i32.const 0) func $f)
    (type $t (func (param i32)))
    (func (export "run") (local i32)
      (call_indirect (type $t) (local.get 0) (i32.const 0))))
  (core instance $n (instantiate $n (with "" (instance (export "f" (func $f))))))
  (func (export "run") (canon lift (core func $n "run")))
)
