;; RUN: run --invoke 'main()' %
;; RUN: run --invoke 'foo-bar()' %
;; RUN: run --invoke 'add_two(3)' %
;; RUN: run --invoke 'fooBar()' %
;; RUN: run --invoke '_private()' %
;; RUN: run --invoke '_ZN3foo3barEv()' %
;; RUN: run --invoke 'syscall.seek()' %
;; RUN: run --invoke '"syscall.seek"()' %
;; RUN: run --invoke '$dollar()' %
;; RUN: run --invoke '"a (b) \"c\""(1)' %
;; RUN(1): run --invoke 'a (b)' %
;; RUN(1): run --invoke 'add_tow(3)' %
;; RUN(1): run --invoke 'zebra(3)' %
;; RUN(1): run --invoke 'add_two' %
;; RUN(1): run --invoke '(3)' %
;; RUN(1): run --invoke '"add_two(3)' %
(module
  (func (export "main") (result i32) (i32.const 7))
  (func (export "foo-bar") (result i32) (i32.const 11))
  (func (export "add_two") (param i32) (result i32) (i32.add (local.get 0) (i32.const 2)))
  (func (export "fooBar") (result i32) (i32.const 3))
  (func (export "_private") (result i32) (i32.const 5))
  (func (export "_ZN3foo3barEv") (result i32) (i32.const 12))
  (func (export "syscall.seek") (result i32) (i32.const 13))
  (func (export "$dollar") (result i32) (i32.const 17))
  (func (export "a (b) \"c\"") (param i32) (result i32) (local.get 0)))
