;; RUN: inspect %
;; RUN: inspect --world %
;; RUN: inspect --trampolines %
;; RUN: inspect --functions %
;; RUN: compile % -o %tmp/app.elf
;; RUN: inspect --sections %tmp/app.elf
;; RUN: inspect %tmp/app.elf
;; RUN(2): inspect --json --world %
(component
  (import "docs:kv/store@0.1.0" (instance $kv
    (export "get" (func (param "key" u32) (result u32)))))
  (core func $get (canon lower (func $kv "get")))
  (core module $m
    (import "" "get" (func $get (param i32) (result i32)))
    (memory (export "memory") 3)
    (func (export "f") (result i32) (call $get (i32.const 1))))
  (core instance $i (instantiate $m (with "" (instance (export "get" (func $get))))))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))
