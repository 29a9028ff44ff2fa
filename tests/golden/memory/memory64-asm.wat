;;! function = "function"
;; A checked access in machine code.
(module
  (memory i64 1 10)
  (func (export "load") (param i64) (result i64) (i64.load offset=16 (local.get 0))))
