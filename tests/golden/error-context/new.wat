;;! emit = "clif"
;;! function = "error-context-new"
;;! names = "symbols"
;;! covers = "component-trampolines-wasm-call-error-context-new, builtin-error-context-new"
;; The message is read and validated, and kept by the store.
(component
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $new (canon error-context.new (memory (core memory $libc "memory"))))
  (core module $m
    (import "" "new" (func $new (param i32 i32) (result i32)))
    (func (export "run") (drop (call $new (i32.const 0) (i32.const 4)))))
  (core instance $m (instantiate $m (with "" (instance (export "new" (func $new))))))
  (func (export "run") (canon lift (core func $m "run"))))
