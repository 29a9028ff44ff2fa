;;! emit = "clif"
;;! function = "adapter"
;;! names = "symbols"
;; From a component into one that it instantiates.
(component
  (component $child
    (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
    (core instance $m (instantiate $m))
    (func (export "f") (param "x" u8) (result u8) (canon lift (core func $m "f"))))
  (instance $child (instantiate $child))
  (core func $f (canon lower (func $child "f")))
  (core module $m
    (import "" "f" (func $f (param i32) (result i32)))
    (func (export "run") (result i32) (call $f (i32.const 7))))
  (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func (export "run") (result u8) (canon lift (core func $m "run"))))
