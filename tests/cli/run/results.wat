;; RUN: run --invoke 'swap(-1, 2.5)' %
;; RUN: run --invoke 'nothing()' %
;; RUN: run --invoke 'letter()' %
;; RUN: run --invoke 'maybe(none)' %
;; RUN: run --invoke 'maybe(some(7))' %
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "swap") (param i32 f64) (result i32)
      (f64.store (i32.const 16) (local.get 1))
      (i32.store (i32.const 24) (local.get 0))
      (i32.const 16))
    (func (export "nothing"))
    (func (export "letter") (result i32) (i32.const 0x1f600))
    (func (export "maybe") (param i32 i32) (result i32)
      (i32.store8 (i32.const 32) (local.get 0))
      (i32.store8 (i32.const 33) (local.get 1))
      (i32.const 32)))
  (core instance $m (instantiate $m))
  (func (export "swap") (param "a" s32) (param "b" f64) (result (tuple f64 s32))
    (canon lift (core func $m "swap") (memory (core memory $m "memory"))))
  (func (export "nothing") (canon lift (core func $m "nothing")))
  (func (export "letter") (result char) (canon lift (core func $m "letter")))
  (func (export "maybe") (param "x" (option u8)) (result (option u8))
    (canon lift (core func $m "maybe") (memory (core memory $m "memory")))))
