;; A component with one import and one export, of the world in `wit/greeter.wit`.
;;
;; `greet("Ada")` logs its argument and returns `Hello, Ada!`.
(component
  (import "log" (func $log (param "message" string)))

  ;; Memory and an allocator that only ever grows, as a module of its own, because lowering the
  ;; import needs a memory before the main module exists.
  (core module $libc
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      ;; at = (next + align - 1) & -align
      (local.set $at
        (i32.and
          (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (memory.copy (local.get $at) (local.get $old) (local.get $old-size))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (core func $log (canon lower (func $log) (memory (core memory $libc "memory"))))

  (core module $main
    (import "libc" "memory" (memory 1))
    (import "libc" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "host" "log" (func $log (param i32 i32)))
    (data (i32.const 16) "Hello, ")
    (func (export "greet") (param $name i32) (param $length i32) (result i32)
      (local $text i32)
      (call $log (local.get $name) (local.get $length))
      (local.set $text
        (call $realloc (i32.const 0) (i32.const 0) (i32.const 1)
          (i32.add (local.get $length) (i32.const 8))))
      (memory.copy (local.get $text) (i32.const 16) (i32.const 7))
      (memory.copy (i32.add (local.get $text) (i32.const 7)) (local.get $name) (local.get $length))
      (i32.store8
        (i32.add (i32.add (local.get $text) (i32.const 7)) (local.get $length))
        (i32.const 33)) ;; '!'
      ;; The result is a pointer to a pointer and a length.
      (i32.store (i32.const 0) (local.get $text))
      (i32.store (i32.const 4) (i32.add (local.get $length) (i32.const 8)))
      (i32.const 0)))
  (core instance $host (export "log" (func $log)))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance $host))))

  (func (export "greet") (param "name" string) (result string)
    (canon lift (core func $main "greet")
      (memory (core memory $libc "memory"))
      (realloc (core func $libc "realloc")))))
