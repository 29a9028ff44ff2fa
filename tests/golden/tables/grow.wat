;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;;! covers = "builtin-table-grow"
(module
  (table $t 1 10 funcref)
  (func (export "grow") (param funcref i32) (result i32)
    (table.grow $t (local.get 0) (local.get 1)))
  (func (export "size") (result i32) (table.size $t)))
