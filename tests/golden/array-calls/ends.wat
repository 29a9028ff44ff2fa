;;! emit = "array-calls"
;;! function = "array-call"
;;! names = "symbols"
;;! covers = "component-trampolines-array-call-ends-new"
;;! covers = "component-trampolines-array-call-end-copy"
;;! covers = "component-trampolines-array-call-end-operate"
;;! covers = "component-trampolines-array-call-ends-forward"
;; The built-ins of streams, called with an array; `stream.new` has a result of 64 bits.
(component
  (type $s (stream u8))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $new (canon stream.new $s))
  (core func $read (canon stream.read $s async (memory (core memory $libc "memory"))))
  (core func $write (canon stream.write $s (memory (core memory $libc "memory"))))
  (core func $cancel (canon stream.cancel-read $s async))
  (core func $drop (canon stream.drop-writable $s))
  (core func $forward (canon stream.forward $s))
  (core module $m
    (import "" "new" (func $new (result i64)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "" "cancel" (func $cancel (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "forward" (func $forward (param i32 i32)))
    (func (export "run")
      (drop (call $new))
      (drop (call $read (i32.const 1) (i32.const 16) (i32.const 8)))
      (drop (call $write (i32.const 2) (i32.const 16) (i32.const 8)))
      (drop (call $cancel (i32.const 1)))
      (call $drop (i32.const 2))
      (call $forward (i32.const 1) (i32.const 4))))
  (core instance $m (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "read" (func $read)) (export "write" (func $write))
    (export "cancel" (func $cancel)) (export "drop" (func $drop))
    (export "forward" (func $forward))))))
  (func (export "run") async (canon lift (core func $m "run") async)))
