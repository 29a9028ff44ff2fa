;;! emit = "array-calls"
;;! function = "array-call-error-context-debug-message"
;;! names = "symbols"
;;! covers = "component-trampolines-array-call-error-context-debug-message"
;; Two parameters, no result.
(component
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8)))
  (core instance $libc (instantiate $libc))
  (core func $message (canon error-context.debug-message
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $m
    (import "" "message" (func $message (param i32 i32)))
    (func (export "run") (call $message (i32.const 1) (i32.const 16))))
  (core instance $m (instantiate $m (with "" (instance (export "message" (func $message))))))
  (func (export "run") (canon lift (core func $m "run"))))
