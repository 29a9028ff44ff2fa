;; RUN: compile % -o %tmp/app.elf
;; RUN(1): run --precompiled -O0 --invoke 'f()' %tmp/app.elf
;; RUN(1): run --precompiled --no-inline --invoke 'f()' %tmp/app.elf
;; RUN(1): inspect --jobs 1 %tmp/app.elf
;; What is compiled already is not compiled again, so that these would change nothing.
(component
  (core module $m (func (export "f") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))
