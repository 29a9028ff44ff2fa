;; RUN: compile % -o %tmp/app.elf
;; RUN: run --precompiled --invoke 'f()' %tmp/app.elf
;; LEAVES: app.elf
(component
  (core module $m (func (export "f") (result i32) (i32.const 42)))
  (core instance $m (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $m "f"))))
