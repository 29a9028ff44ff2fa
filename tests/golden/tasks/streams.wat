;;! emit = "clif"
;;! function = "component-trampolines"
;;! names = "symbols"
;;! covers = "component-trampolines-wasm-call-ends-new, builtin-ends-new"
;;! covers = "component-trampolines-wasm-call-end-copy, builtin-end-copy"
;;! covers = "component-trampolines-wasm-call-end-operate, builtin-end-operate"
;;! covers = "component-trampolines-wasm-call-ends-forward, builtin-ends-forward"
;; The built-ins of streams. The runtime knows of each read and write what its options are.
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
