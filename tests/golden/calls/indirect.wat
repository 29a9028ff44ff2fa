;;! emit = "clif"
;;! function = "function"
;; A table of constant length that changes: a bounds check, a type check, a masked id.
(module
  (type $binary (func (param i32 i32) (result i32)))
  (table 4 4 funcref)
  (elem (i32.const 0) $add $sub)
  (func $add (type $binary) (i32.add (local.get 0) (local.get 1)))
  (func $sub (type $binary) (i32.sub (local.get 0) (local.get 1)))
  (func $set (export "set") (table.set (i32.const 0) (ref.null func)))
  (func $call (export "call") (param i32) (result i32)
    (call_indirect (type $binary) (i32.const 7) (i32.const 5) (local.get 0))))
