;;! emit = "array-calls"
;;! function = "array-call-lower-import"
;;! names = "symbols"
;;! covers = "component-trampolines-array-call-lower-import"
;; A lowered import, called with an array: the wrapper around its wasm-call form.
(component
  (import "f" (func $f (param "s" string) (result string)))
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8)))
  (core instance $libc (instantiate $libc))
  (core func $f (canon lower (func $f)
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $m
    (import "" "f" (func $f (param i32 i32 i32)))
    (func (export "run") (call $f (i32.const 0) (i32.const 4) (i32.const 64))))
  (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func (export "run") (canon lift (core func $m "run"))))
