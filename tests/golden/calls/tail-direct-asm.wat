;;! function = "function[1]"
;; More arguments than registers: the frame is replaced by the callee's.
(module
  (func $callee (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64) (local.get 7))
  (func (export "f") (param i64) (result i64)
    (return_call $callee
      (i64.const 0) (i64.const 1) (i64.const 2) (i64.const 3)
      (i64.const 4) (i64.const 5) (i64.const 6) (local.get 0))))
