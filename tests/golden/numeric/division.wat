;;! function = "function"
;; Division traps by itself; a constant divisor needs no check.
(module
  (func $signed (export "signed") (param i32 i32) (result i32)
    (i32.div_s (local.get 0) (local.get 1)))
  (func $by-ten (export "by-ten") (param i32) (result i32)
    (i32.div_u (local.get 0) (i32.const 10))))
