;;! emit = "clif"
;;! function = "lower-import"
;;! names = "symbols"
;; A borrowed handle stays in the table; the host gets the representation.
(component
  (import "r" (type $r (sub resource)))
  (import "f" (func $f (param "r" (borrow $r))))
  (core func $f (canon lower (func $f)))
  (core module $m
    (import "" "f" (func $f (param i32)))
    (func (export "run") (call $f (i32.const 1))))
  (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func (export "run") (canon lift (core func $m "run"))))
