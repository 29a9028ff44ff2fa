;;! emit = "clif"
;;! function = "adapter"
;;! names = "symbols"
;; More than 16 flat parameters are in memory on both sides: read with checks, written by `realloc`.
(component
  (component $to
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
      (func (export "take") (param i32)))
    (core instance $m (instantiate $m))
    (func (export "take") (param "a" (tuple u8 u64 u64 u64 u64 u64 u64 u64 u64))
        (param "b" (tuple u64 u64 u64 u64 u64 u64 u64 f32))
      (canon lift (core func $m "take")
        (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
  (component $from
    (import "take" (func $take (param "a" (tuple u8 u64 u64 u64 u64 u64 u64 u64 u64))
        (param "b" (tuple u64 u64 u64 u64 u64 u64 u64 f32))))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $take (canon lower (func $take) (memory (core memory $libc "memory"))))
    (core module $m
      (import "" "take" (func $take (param i32)))
      (func (export "run") (call $take (i32.const 0))))
    (core instance $m (instantiate $m (with "" (instance (export "take" (func $take))))))
    (func (export "run") (canon lift (core func $m "run"))))
  (instance $to (instantiate $to))
  (instance $from (instantiate $from (with "take" (func $to "take"))))
  (export "run" (func $from "run")))
