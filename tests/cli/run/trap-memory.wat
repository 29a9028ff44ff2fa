;; RUN(134): run --invoke 'load(65536)' %
;; RUN(134): run --bounds explicit --invoke 'load(65533)' %
;; RUN: run --invoke 'load(65532)' %
(module (memory 1) (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))
