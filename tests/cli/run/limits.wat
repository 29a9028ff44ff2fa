;; RUN: run --invoke 'grow(1)' %
;; RUN: run --max-memory 128K --invoke 'grow(1)' %
;; RUN: run --max-memory 128K --invoke 'grow(2)' %
;; RUN(134): run --max-memory 128K --invoke 'must-grow(2)' %
;; RUN(134): run --invoke 'must-grow(65536)' %
;; RUN(1): run --max-memory 32KiB --invoke 'grow(0)' %
;; RUN: run --max-table-elements 10 --invoke 'grow-table(8)' %
;; RUN(134): run --max-table-elements 10 --invoke 'must-grow-table(9)' %
;; RUN(134): run --no-inline --max-stack 64K --invoke 'recurse(100000)' %
;; RUN(134): run --no-inline --max-stack 1M --invoke 'recurse(1000000)' %
;; RUN: run --max-stack 256M --invoke 'recurse(1000000)' %
;; RUN(2): run --max-memory 1X --invoke 'grow(0)' %
;; RUN(2): run --max-stack -1 --invoke 'grow(0)' %
(component
  (core module $m
    (memory 1)
    (table $t 2 funcref)
    (func $grow (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "must-grow") (param i32) (result i32)
      (if (result i32) (i32.eq (call $grow (local.get 0)) (i32.const -1))
        (then unreachable)
        (else (memory.size))))
    (func $grow-table (export "grow-table") (param i32) (result i32)
      (table.grow $t (ref.null func) (local.get 0)))
    (func (export "must-grow-table") (param i32)
      (if (i32.eq (call $grow-table (local.get 0)) (i32.const -1)) (then unreachable)))
    (func $recurse (export "recurse") (param i32) (result i32)
      (if (result i32) (local.get 0)
        (then (i32.add (i32.const 1) (call $recurse (i32.sub (local.get 0) (i32.const 1)))))
        (else (i32.const 0)))))
  (core instance $m (instantiate $m))
  (func (export "grow") (param "by" u32) (result s32) (canon lift (core func $m "grow")))
  (func (export "must-grow") (param "by" u32) (result s32) (canon lift (core func $m "must-grow")))
  (func (export "grow-table") (param "by" u32) (result s32)
    (canon lift (core func $m "grow-table")))
  (func (export "must-grow-table") (param "by" u32) (canon lift (core func $m "must-grow-table")))
  (func (export "recurse") (param "times" u32) (result u32) (canon lift (core func $m "recurse"))))
