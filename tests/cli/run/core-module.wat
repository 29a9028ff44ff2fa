;; RUN: run --invoke 'pair(4294967295, -1)' %
;; RUN(1): run --invoke 'pair(4294967296, 1)' %
;; RUN(1): run --invoke 'pair(1)' %
;; RUN(1): run --invoke 'vector()' %
;; RUN(1): run --invoke 'nothing()' %
;; RUN(1): run %
(module
  (func (export "pair") (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
  (func (export "vector") (result v128) (v128.const i64x2 0 0)))
