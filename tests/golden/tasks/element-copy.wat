;;! emit = "clif"
;;! function = "element-copy"
;;! names = "symbols"
;;! covers = "element-copy-wasm-call, element-copy-native-call"
;; Strings move from the buffer of one instance's write to that of another's read, which may not
;; call anybody in its `realloc` meanwhile. Within an instance they would not move.
(component
  (component $writer
    (type $s (stream string))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $write (canon stream.write $s async (memory (core memory $libc "memory"))))
    (core module $m
      (import "" "write" (func $write (param i32 i32 i32) (result i32)))
      (func (export "run") (drop (call $write (i32.const 2) (i32.const 32) (i32.const 1)))))
    (core instance $m (instantiate $m (with "" (instance (export "write" (func $write))))))
    (func (export "run") async (canon lift (core func $m "run") async)))
  (component $reader
    (type $s (stream string))
    (core func $yield (canon thread.yield))
    (core module $libc
      (import "" "yield" (func $yield (result i32)))
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $yield)))
    (core instance $libc (instantiate $libc (with "" (instance (export "yield" (func $yield))))))
    (core func $read (canon stream.read $s async
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (core func $write (canon stream.write $s async (memory (core memory $libc "memory"))))
    (core module $m
      (import "" "read" (func $read (param i32 i32 i32) (result i32)))
      (import "" "write" (func $write (param i32 i32 i32) (result i32)))
      (func (export "run")
        (drop (call $read (i32.const 1) (i32.const 16) (i32.const 1)))
        (drop (call $write (i32.const 2) (i32.const 32) (i32.const 1)))))
    (core instance $m (instantiate $m (with "" (instance
      (export "read" (func $read)) (export "write" (func $write))))))
    (func (export "run") async (canon lift (core func $m "run") async)))
  (instance $writer (instantiate $writer))
  (instance $reader (instantiate $reader))
  (export "write" (func $writer "run"))
  (export "read" (func $reader "run")))
