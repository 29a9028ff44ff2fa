;; Several memories and tables, which grow.
(module
  (memory $a (export "a") 1)
  (memory $b (export "b") 1)
  (table $t (export "t") 10 funcref)
  (func (export "grow-a") (param i32) (result i32) (memory.grow $a (local.get 0)))
  (func (export "grow-b") (param i32) (result i32) (memory.grow $b (local.get 0)))
  (func (export "grow-t") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0))))
