;; RUN: inspect --all %
;; RUN: inspect --all --target-cpu x86-64-v2 -O 0 --bounds explicit --canonical-nans %
(module
  (import "host" "f" (func $f (param i32) (result f64)))
  (import "host" "g" (global $g (mut i64)))
  (memory (export "memory") 1)
  (table (export "table") 1 funcref)
  (func (export "run") (param i32) (result f64) (call $f (local.get 0))))
