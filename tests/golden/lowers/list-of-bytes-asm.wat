;;! emit = "asm"
;;! function = "lower-import"
;; As `list-of-bytes`, in machine code.
(component
  (import "write" (func $write (param "bytes" (list u8))))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $write (canon lower (func $write) (memory (core memory $libc "memory"))))
  (core module $main
    (import "host" "write" (func $write (param i32 i32)))
    (func (export "run") (call $write (i32.const 16) (i32.const 32))))
  (core instance $host (export "write" (func $write)))
  (core instance $main (instantiate $main (with "host" (instance $host))))
  (func (export "run") (canon lift (core func $main "run"))))
