;;! emit = "asm"
;;! function = "wasm[1]::function[0]"
;; Two core instances that share a memory share the slab: the call between them is direct, and the context
;; stays in its register (rdi).
(component
  (core module $libc
    (memory (export "memory") 1)
    (func (export "twice") (param i32) (result i32)
      (i32.add (local.get 0) (i32.load (local.get 0)))))
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "libc" "twice" (func $twice (param i32) (result i32)))
    (func (export "run") (param i32) (result i32)
      (i32.add (call $twice (local.get 0)) (i32.const 1))))
  (core instance $libc (instantiate $libc))
  (core instance $main (instantiate $main (with "libc" (instance $libc))))
  (func (export "run") (param "x" u32) (result u32) (canon lift (core func $main "run"))))
