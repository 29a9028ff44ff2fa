;;! emit = "clif"
;;! function = "end-copy"
;;! names = "symbols"
;; A read of a future, in a memory of either width: one element, and a result of 32 bits. That of a
;; stream has the width of the memory.
(component
  (type $f (future u8))
  (type $s (stream u8))
  (core module $libc (memory (export "memory") 1) (memory (export "wide") i64 1))
  (core instance $libc (instantiate $libc))
  (core func $read (canon future.read $f async (memory (core memory $libc "memory"))))
  (core func $read-wide (canon future.read $f async (memory (core memory $libc "wide"))))
  (core func $stream-wide (canon stream.read $s async (memory (core memory $libc "wide"))))
  (core module $m
    (import "" "read" (func $read (param i32 i32) (result i32)))
    (import "" "read-wide" (func $read-wide (param i32 i64) (result i32)))
    (import "" "stream-wide" (func $stream-wide (param i32 i64 i64) (result i64)))
    (func (export "run")
      (drop (call $read (i32.const 1) (i32.const 16)))
      (drop (call $read-wide (i32.const 2) (i64.const 16)))
      (drop (call $stream-wide (i32.const 3) (i64.const 16) (i64.const 8)))))
  (core instance $m (instantiate $m (with "" (instance
    (export "read" (func $read)) (export "read-wide" (func $read-wide))
    (export "stream-wide" (func $stream-wide))))))
  (func (export "run") async (canon lift (core func $m "run") async)))
