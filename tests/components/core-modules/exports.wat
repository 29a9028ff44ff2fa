;; An export of every kind.
(module
  (memory (export "memory") 1 1) (table (export "table") 2 2 funcref)
  (global (export "constant") i32 (i32.const 1))
  (global (export "variable") (mut i32) (i32.const 1))
  (tag (export "tag"))
  (func (export "f") (param i32 i64) (result i32) (i32.const 0)))
