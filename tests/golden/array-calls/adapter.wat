;;! emit = "array-calls"
;;! function = "array-call-adapter"
;;! names = "symbols"
;;! covers = "component-trampolines-array-call-adapter"
;; An adapter, called with an array: what it traps with comes back as a status.
(component
  (component $to
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
      (func (export "take") (param i32 i32)))
    (core instance $m (instantiate $m))
    (func (export "take") (param "list" (list bool))
      (canon lift (core func $m "take")
        (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
  (component $from
    (import "take" (func $take (param "list" (list bool))))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $take (canon lower (func $take) (memory (core memory $libc "memory"))))
    (core module $m
      (import "" "take" (func $take (param i32 i32)))
      (func (export "run") (call $take (i32.const 0) (i32.const 4))))
    (core instance $m (instantiate $m (with "" (instance (export "take" (func $take))))))
    (func (export "run") (canon lift (core func $m "run"))))
  (instance $to (instantiate $to))
  (instance $from (instantiate $from (with "take" (func $to "take"))))
  (export "run" (func $from "run")))
