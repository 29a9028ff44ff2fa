;; RUN: compile % -o %tmp/app.elf
;; RUN: run --precompiled --invoke 'add(40, 2)' %tmp/app.elf
(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
