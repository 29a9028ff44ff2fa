;;! emit = "clif"
;;! function = "function[1]"
;;! names = "symbols"
;; `return_call_indirect` checks what `call_indirect` checks.
(module
  (type $t (func (param i32) (result i32)))
  (table (export "table") 4 4 funcref)
  (elem (i32.const 0) $id)
  (func $id (type $t) (local.get 0))
  (func (export "f") (param i32 i32) (result i32)
    (return_call_indirect (type $t) (local.get 0) (local.get 1)))
  (func (export "set") (table.set (i32.const 0) (ref.null func))))
