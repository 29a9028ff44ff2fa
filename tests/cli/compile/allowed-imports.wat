;; FILE: w.wit package my:app; world plugin { export f: func() -> u32; }
;; RUN: compile --wit %tmp/w.wit % -o %tmp/app.elf
;; RUN(1): compile --wit %tmp/w.wit --strict-imports % -o %tmp/none.elf
;; RUN(1): compile --wit %tmp/w.wit --allow-import my: % -o %tmp/none.elf
;; RUN: compile --wit %tmp/w.wit --allow-import my: --allow-import wasi:random % -o %tmp/app.elf
;; RUN(2): compile --wit %tmp/w.wit --allow-import my: --strict-imports % -o %tmp/none.elf
;; LEAVES: w.wit app.elf
;; A plugin's language imports WASI, whatever its world says.
(component
  (import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result u64)))))
  (core module $m (func (export "f") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))
