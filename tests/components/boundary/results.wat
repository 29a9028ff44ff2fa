;; The host's `f` returns a value of type DECLARED, and the host calls `take` with a string: where they
;; are put is said by the guest's pointer and by `realloc`. ENCODING is the string encoding.
(component
  (import "host" (instance $host
    (type $t' DECLARED)
    (export "t" (type $t (eq $t')))
    (export "f" (func (result $t)))))
  (core module $libc
    (memory (export "memory") 64)
    (global $at (mut i32) (i32.const 1024))
    (func (export "place") (param i32) (global.set $at (local.get 0)))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (global.get $at)))
  (core instance $libc (instantiate $libc))
  (core func $f (canon lower (func $host "f") (memory (core memory $libc "memory"))
    (realloc (core func $libc "realloc")) string-encoding=ENCODING))
  (core module $m
    (import "libc" "memory" (memory 64))
    (import "host" "f" (func $f (param i32)))
    (func (export "fetch") (param i32)
      (memory.fill (i32.const 64) (i32.const 0xaa) (i32.const 192))
      (call $f (local.get 0)))
    (func (export "read") (param $at i32) (param $count i32) (result i32)
      (i32.store (i32.const 16) (local.get $at))
      (i32.store (i32.const 20) (local.get $count))
      (i32.const 16))
    (func (export "take") (param i32 i32))
    (func (export "leave") (result i32) (i32.const 64)))
  (core instance $m (instantiate $m
    (with "libc" (instance $libc))
    (with "host" (instance (export "f" (func $f))))))
  ;; What the next calls of `realloc` return.
  (func (export "place") (param "at" u32) (canon lift (core func $libc "place")))
  ;; Calls `f` with that pointer for the result, after filling 192 bytes from 64 on.
  (func (export "fetch") (param "at" u32) (canon lift (core func $m "fetch")))
  (func (export "read") (param "at" u32) (param "count" u32) (result (list u8))
    (canon lift (core func $m "read") (memory (core memory $libc "memory"))))
  (func (export "take") (param "s" string)
    (canon lift (core func $m "take") (memory (core memory $libc "memory"))
      (realloc (core func $libc "realloc")) string-encoding=ENCODING))
  ;; Its post-return calls `f`.
  (func (export "leave") (result u32)
    (canon lift (core func $m "leave") (post-return (core func $m "fetch")))))
