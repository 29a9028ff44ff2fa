;;! emit = "plan"
;; Nested components are gone: instances of core modules, adapters and steps are left.
(component
  (import "log" (func $log (param "x" u32)))
  (component $c
    (import "log" (func $log (param "x" u32)))
    (core func $log (canon lower (func $log)))
    (core module $m
      (import "" "log" (func $log (param i32)))
      (func (export "f") (param i32) (call $log (local.get 0))))
    (core instance $m (instantiate $m (with "" (instance (export "log" (func $log))))))
    (func (export "f") (param "x" u32) (canon lift (core func $m "f"))))
  (instance $one (instantiate $c (with "log" (func $log))))
  (instance $two (instantiate $c (with "log" (func $one "f"))))
  (export "f" (func $two "f")))
