;; RUN: compile % -o %tmp/app.wasm
;; RUN(1): run --invoke 'f(1)' %tmp/app.wasm
;; RUN: run --precompiled --invoke 'f(1)' %tmp/app.wasm
;; RUN(1): run --precompiled --invoke 'f(1)' %
;; RUN(1): run --precompiled %tmp/none.elf
(component
  (core module $m (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))
  (core instance $m (instantiate $m))
  (func (export "f") (param "x" u32) (result u32) (canon lift (core func $m "f"))))
