;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;;! bounds = "explicit"
;; Each access is checked by code.
(module
  (memory 1 10)
  (func (export "load") (param i32) (result i64) (i64.load offset=16 (local.get 0)))
  (func (export "store") (param i32) (i32.store8 (local.get 0) (i32.const 1))))
