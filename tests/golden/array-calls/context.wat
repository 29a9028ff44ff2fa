;;! emit = "array-calls"
;;! function = "array-call"
;;! names = "symbols"
;;! covers = "component-trampolines-array-call-context-get"
;;! covers = "component-trampolines-array-call-context-set"
;; Slots are those of the active stack.
(component
  (core func $get (canon context.get i32 0))
  (core func $set (canon context.set i32 1))
  (core module $m
    (import "" "get" (func $get (result i32)))
    (import "" "set" (func $set (param i32)))
    (func (export "run") (call $set (call $get))))
  (core instance $m (instantiate $m (with "" (instance
    (export "get" (func $get)) (export "set" (func $set))))))
  (func (export "run") async (canon lift (core func $m "run") async)))
