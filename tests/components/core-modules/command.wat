;; What the command line compiles, calls and inspects.
(module
  (import "lib" "twice" (func $twice (param i32) (result i32)))
  (memory (export "memory") 1)
  (global (export "count") (mut i64) (i64.const 1))
  (func (export "f") (param i32 i64 f32 f64) (result i32 i64 f32 f64)
    (call $twice (local.get 0)) (local.get 1) (local.get 2) (local.get 3))
  (func (export "one") (param i32) (result i32) (local.get 0))
  (func (export "none"))
  (func (export "trap") unreachable))
