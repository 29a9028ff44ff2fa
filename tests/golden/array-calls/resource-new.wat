;;! emit = "array-calls"
;;! function = "array-call-resource-new"
;;! names = "symbols"
;;! covers = "component-trampolines-array-call-resource-new"
;; A handle is the result, in the first slot.
(component
  (type $r (resource (rep i32)))
  (core func $new (canon resource.new $r))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (func (export "run") (drop (call $new (i32.const 7)))))
  (core instance $m (instantiate $m (with "" (instance (export "new" (func $new))))))
  (func (export "run") (canon lift (core func $m "run"))))
