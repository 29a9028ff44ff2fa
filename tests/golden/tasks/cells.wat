;;! emit = "clif"
;;! function = "export-entry[0]-wasm"
;;! function = "post-return[0]-wasm"
;;! names = "symbols"
;;! blocking = "assumed"
;; The host calls a synchronously typed function of a component with an asynchronous part: a thread
;; of its own, with no task and empty context slots, which post-return still sees. So is `realloc`.
(component
  (core func $get (canon context.get i32 0))
  (core func $set (canon context.set i32 0))
  (core module $m
    (import "" "get" (func $get (result i32)))
    (import "" "set" (func $set (param i32)))
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $get))
    (func (export "run") (param i32 i32) (result i32) (call $set (i32.const 1)) (i32.const 0))
    (func (export "post") (param i32) (call $set (local.get 0)))
    (func (export "other")))
  (core instance $m (instantiate $m (with "" (instance
    (export "get" (func $get)) (export "set" (func $set))))))
  (func (export "run") (param "s" string) (result u32)
    (canon lift (core func $m "run") (post-return (core func $m "post"))
      (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
  (func (export "other") async (canon lift (core func $m "other") async)))
