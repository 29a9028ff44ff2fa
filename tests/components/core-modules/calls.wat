;; Functions of the host, and functions that it calls.
(module
  (import "env" "add" (func $add (param i32 i64) (result i64)))
  (import "env" "fail" (func $fail))
  (import "env" "wrong" (func $wrong (result i32)))
  (export "add" (func $add))
  (func (export "twice") (param i32 i64) (result i64 f32)
    (call $add (local.get 0) (call $add (local.get 0) (local.get 1)))
    (f32.const 1.5))
  (func (export "fail") (call $fail))
  (func (export "wrong") (result i32) (call $wrong))
  (func (export "trap") unreachable)
  (func (export "vector") (param v128) (result v128)
    (i8x16.add (local.get 0) (local.get 0))))
