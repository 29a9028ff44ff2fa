;; RUN(1): run --invoke 'f()' %
;; RUN(1): run --trap-unknown-imports=ho --invoke 'f()' %
;; RUN: run --trap-unknown-imports --invoke 'f()' %
;; RUN(134): run --trap-unknown-imports --invoke 'g()' %
(module
  (import "env" "a" (func))
  (import "env" "b" (func (param i32) (result i32)))
  (import "host" "log" (func $log))
  (func (export "f") (result i32) (i32.const 7))
  (func (export "g") (call $log)))
