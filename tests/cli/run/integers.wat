;; RUN: run --invoke 'word(4294967295)' %
;; RUN: run --invoke 'word(-2147483648)' %
;; RUN: run --invoke 'long(18446744073709551615)' %
;; RUN: run --invoke 'long(-9223372036854775808)' %
;; RUN: run --invoke 'long(9223372036854775808)' %
;; RUN(1): run --invoke 'word(4294967296)' %
;; RUN(1): run --invoke 'word(-2147483649)' %
;; RUN(1): run --invoke 'long(18446744073709551616)' %
;; RUN(1): run --invoke 'long(-9223372036854775809)' %
;; RUN(1): run --invoke 'long(1.5)' %
;; A core integer has no sign: both readings are taken, and no more.
(module
  (func (export "word") (param i32) (result i32) (local.get 0))
  (func (export "long") (param i64) (result i64) (local.get 0)))
