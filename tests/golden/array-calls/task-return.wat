;;! emit = "array-calls"
;;! function = "array-call"
;;! names = "symbols"
;;! covers = "component-trampolines-array-call-task-return"
;; As many parameters as there are flat values.
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
