;; What indirect calls cost: through a table that nothing changes after instantiation (sealed), at a constant
;; and at a computed index, and through one that changes.
;;! call = sealed-constant()
;;! call = sealed(1)
;;! call = changing(1)
(component
  (core module $main
    (type $op (func (param i32) (result i32)))
    (table $sealed 2 2 funcref) (elem (table $sealed) (i32.const 0) func $double $square)
    (table $changing 2 2 funcref) (elem (table $changing) (i32.const 0) func $double $square)
    (func $double (type $op) (i32.shl (local.get 0) (i32.const 1)))
    (func $square (type $op) (i32.mul (local.get 0) (local.get 0)))
    (func (export "sealed-constant") (result i32)
      (call_indirect $sealed (type $op) (i32.const 6) (i32.const 0)))
    (func (export "sealed") (param i32) (result i32)
      (call_indirect $sealed (type $op) (i32.const 6) (local.get 0)))
    (func (export "changing") (param i32) (result i32)
      (call_indirect $changing (type $op) (i32.const 6) (local.get 0)))
    (func (export "change") (table.set $changing (i32.const 0) (ref.null func))))
  (core instance $main (instantiate $main))
  (func (export "sealed-constant") (result u32) (canon lift (core func $main "sealed-constant")))
  (func (export "sealed") (param "index" u32) (result u32) (canon lift (core func $main "sealed")))
  (func (export "changing") (param "index" u32) (result u32) (canon lift (core func $main "changing")))
  (func (export "change") (canon lift (core func $main "change"))))
