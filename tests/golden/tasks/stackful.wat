;;! emit = "clif"
;;! function = "task-body[0]-wasm"
;;! function = "task-result[0]-wasm"
;;! function = "task-return"
;;! names = "symbols"
;;! covers = "component-trampolines-wasm-call-task-return, builtin-task-return"
;;! covers = "builtin-task-host-result"
;; The host calls a function that waits on its own stack: its parameters are native values, and its
;; result becomes one.
(component
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $return (canon task.return (result string) (memory (core memory $libc "memory"))))
  (core module $m
    (import "" "return" (func $return (param i32 i32)))
    (func (export "run") (param i32) (call $return (i32.const 0) (local.get 0))))
  (core instance $m (instantiate $m (with "" (instance (export "return" (func $return))))))
  (func (export "run") async (param "x" u32) (result string)
    (canon lift (core func $m "run") async (memory (core memory $libc "memory")))))
