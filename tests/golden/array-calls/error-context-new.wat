;;! emit = "array-calls"
;;! function = "array-call-error-context-new"
;;! names = "symbols"
;;! covers = "component-trampolines-array-call-error-context-new"
;; Two parameters, one result.
(component
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $new (canon error-context.new (memory (core memory $libc "memory"))))
  (core module $m
    (import "" "new" (func $new (param i32 i32) (result i32)))
    (func (export "run") (drop (call $new (i32.const 0) (i32.const 4)))))
  (core instance $m (instantiate $m (with "" (instance (export "new" (func $new))))))
  (func (export "run") (canon lift (core func $m "run"))))
