;; A guest passes made-up core values to the host's `f`, which has one parameter.
;;
;; DECLARED stands for the parameter's type, CORE for its flat core types, ARGUMENTS for these, made of
;; two parameters of type i64, and ENCODING for the string encoding.
(component
  (import "host" (instance $host
    (type $t' DECLARED)
    (export "t" (type $t (eq $t')))
    (export "f" (func (param "v" $t)))))
  (core module $libc
    (memory (export "memory") 64)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0x100000)))
  (core instance $libc (instantiate $libc))
  (core func $f (canon lower (func $host "f")
    (memory (core memory $libc "memory")) string-encoding=ENCODING))
  (core module $m
    (import "libc" "memory" (memory 64))
    (import "host" "f" (func $f (param CORE)))
    ;; Wrapping leaves what is above 32 bits in the register.
    (func (export "pass") (param i64 i64) (call $f ARGUMENTS))
    (func (export "write") (param i32 i32)
      (memory.copy (i32.const 64) (local.get 0) (local.get 1))))
  (core instance $m (instantiate $m
    (with "libc" (instance $libc))
    (with "host" (instance (export "f" (func $f))))))
  (func (export "pass") (param "a" u64) (param "b" u64) (canon lift (core func $m "pass")))
  ;; Writes bytes from address 64 on.
  (func (export "write") (param "bytes" (list u8))
    (canon lift (core func $m "write")
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
