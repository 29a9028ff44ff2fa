;; FILE: libc.wat (module (func (export "seven") (result i32) (i32.const 7)))
;; RUN: compile --core-module libc=%tmp/libc.wat % -o %tmp/app.elf
;; RUN: run --precompiled --invoke 'f()' %tmp/app.elf
;; RUN(1): compile % -o %tmp/other.elf
(component
  (import "libc" (core module $libc (export "seven" (func (result i32)))))
  (core instance $libc (instantiate $libc))
  (func (export "f") (result u32) (canon lift (core func $libc "seven"))))
