;;! function = "component-trampolines"
;;! covers = "component-trampolines-wasm-call-context-get"
;;! covers = "component-trampolines-wasm-call-context-set"
;; A context slot is one access, whose place in the root is known.
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
