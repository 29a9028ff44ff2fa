;; FILE: w.wit package a:b; world w { export f: func() -> u32; }
;; RUN: compile --wit %tmp/w.wit % -o %tmp/app.elf
;; LEAVES: app.elf w.wit
(component
  (core module $m (func (export "f") (result i32) (i32.const 42)))
  (core instance $m (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $m "f"))))
