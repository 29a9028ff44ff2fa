;; FILE: w.wit package a:b; world w { import g: func(); export f: func() -> string; export h: func(); }
;; RUN(1): compile --wit %tmp/w.wit % -o %tmp/app.elf
;; LEAVES: w.wit
(component
  (import "other" (func))
  (core module $m (func (export "f") (result i32) (i32.const 42)))
  (core instance $m (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $m "f"))))
