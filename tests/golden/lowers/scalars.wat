;;! emit = "clif"
;;! function = "lower"
;; A call to the host.
(component
  (import "log" (func $log (param "level" u8) (result bool)))
  (core func $log (canon lower (func $log)))
  (core module $main
    (import "" "log" (func $log (param i32) (result i32)))
    (func (export "run") (result i32) (call $log (i32.const 3))))
  (core instance $main (instantiate $main (with "" (instance (export "log" (func $log))))))
  (func (export "run") (result bool) (canon lift (core func $main "run"))))
