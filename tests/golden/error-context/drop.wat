;;! emit = "clif"
;;! function = "error-context-drop"
;;! names = "symbols"
;;! covers = "component-trampolines-wasm-call-error-context-drop, builtin-error-context-drop"
;; The message loses a reference, the table an entry.
(component
  (core func $drop (canon error-context.drop))
  (core module $m
    (import "" "drop" (func $drop (param i32)))
    (func (export "run") (call $drop (i32.const 1))))
  (core instance $m (instantiate $m (with "" (instance (export "drop" (func $drop))))))
  (func (export "run") (canon lift (core func $m "run"))))
