;; RUN(134): run --invoke 'div(1, 0)' %
;; RUN(134): run --invoke 'div(-2147483648, -1)' %
;; RUN: run --invoke 'div(7, -2)' %
(module
  (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1))))
