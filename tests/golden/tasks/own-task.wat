;;! emit = "clif"
;;! function = "component-trampolines"
;;! names = "symbols"
;;! covers = "component-trampolines-wasm-call-task-cancel, builtin-task-cancel"
;;! covers = "component-trampolines-wasm-call-thread-yield, builtin-thread-yield"
;;! covers = "component-trampolines-wasm-call-backpressure-inc, builtin-backpressure-inc"
;;! covers = "component-trampolines-wasm-call-backpressure-dec, builtin-backpressure-dec"
;; What a task does with itself and with its instance. All but changing backpressure tests whether
;; the instance may be left, since its `realloc` might do it.
(component
  (core func $cancel (canon task.cancel))
  (core func $yield (canon thread.yield))
  (core func $inc (canon backpressure.inc))
  (core func $dec (canon backpressure.dec))
  (core module $m
    (import "" "cancel" (func $cancel))
    (import "" "yield" (func $yield (result i32)))
    (import "" "inc" (func $inc))
    (import "" "dec" (func $dec))
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $yield))
    (func (export "take") (param i32 i32))
    (func (export "run")
      (call $inc)
      (drop (call $yield))
      (call $dec)
      (call $cancel)))
  (core instance $m (instantiate $m (with "" (instance
    (export "cancel" (func $cancel)) (export "yield" (func $yield))
    (export "inc" (func $inc)) (export "dec" (func $dec))))))
  (func (export "take") (param "s" string) (canon lift (core func $m "take")
    (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
  (func (export "run") async (canon lift (core func $m "run") async)))
