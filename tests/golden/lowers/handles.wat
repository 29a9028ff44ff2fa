;;! emit = "clif"
;;! function = "lower-import"
;;! names = "symbols"
;; An owned handle leaves the table; a new one is put there.
(component
  (import "r" (type $r (sub resource)))
  (import "f" (func $f (param "given" (own $r)) (result (own $r))))
  (core func $f (canon lower (func $f)))
  (core module $m
    (import "" "f" (func $f (param i32) (result i32)))
    (func (export "run") (drop (call $f (i32.const 1)))))
  (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func (export "run") (canon lift (core func $m "run"))))
