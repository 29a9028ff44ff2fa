;;! emit = "clif"
;;! function = "adapter"
;;! names = "symbols"
;; From a memory of 32-bit addresses to one of 64-bit addresses: pointers and lengths are extended.
(component
  (component $to
    (core module $m
      (memory (export "memory") i64 1)
      (func (export "realloc") (param i64 i64 i64 i64) (result i64) (i64.const 8))
      (func (export "take") (param i64 i64)))
    (core instance $m (instantiate $m))
    (func (export "take") (param "list" (list u16))
      (canon lift (core func $m "take")
        (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
  (component $from
    (import "take" (func $take (param "list" (list u16))))
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
