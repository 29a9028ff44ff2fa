;; RUN(1): run %
;; A command of WASI 0.3 whose `run` fails.
(component
  (core module $m (func (export "run") (result i32) (i32.const 1)))
  (core instance $m (instantiate $m))
  (func $run async (result (result)) (canon lift (core func $m "run")))
  (instance (export "wasi:cli/run@0.3.0") (export "run" (func $run))))
