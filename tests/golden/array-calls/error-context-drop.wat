;;! emit = "array-calls"
;;! function = "array-call-error-context-drop"
;;! names = "symbols"
;;! covers = "component-trampolines-array-call-error-context-drop"
;; One parameter, no result.
(component
  (core func $drop (canon error-context.drop))
  (core module $m
    (import "" "drop" (func $drop (param i32)))
    (func (export "run") (call $drop (i32.const 1))))
  (core instance $m (instantiate $m (with "" (instance (export "drop" (func $drop))))))
  (func (export "run") (canon lift (core func $m "run"))))
