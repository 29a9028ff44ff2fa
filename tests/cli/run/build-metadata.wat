;; RUN: run %
;; A release, whatever is behind `+`.
(component
  (core module $m (func (export "run") (result i32) (i32.const 0)))
  (core instance $m (instantiate $m))
  (func $run (result (result)) (canon lift (core func $m "run")))
  (instance (export "wasi:cli/run@0.2.3+a-b") (export "run" (func $run))))
