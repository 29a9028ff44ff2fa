;;! emit = "plan"
(component
  (type $resource' (resource (rep i32)))
  (core func $drop (canon resource.drop $resource'))
  (core module $libc
    (memory (export "memory") 2)
    (global (export "base") (mut i32) (i32.const 64))
    (data (i32.const 8) "hello"))
  (core instance $libc (instantiate $libc))
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "libc" "base" (global $base (mut i32)))
    (import "host" "drop" (func $drop (param i32)))
    (table 2 2 funcref)
    (elem (i32.const 1) $drop)
    (func (export "run") (result i32)
      (global.set $base (i32.const 1))
      (call $drop (i32.const 1))
      (i32.load (i32.const 8))))
  (core instance $main
    (instantiate $main
      (with "libc" (instance $libc))
      (with "host" (instance (export "drop" (func $drop))))))
  (func (export "run") (result u32) (canon lift (core func $main "run"))))
