;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;; Checked accesses of 32-bit slots.
(module
  (table $t 4 funcref)
  (table $e 4 externref)
  (func (export "get") (param i32) (result externref) (table.get $e (local.get 0)))
  (func (export "set") (param i32 funcref) (table.set $t (local.get 0) (local.get 1)))
  (func (export "size") (result i32) (table.size $t)))
