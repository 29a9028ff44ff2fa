;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;;! covers = "builtin-table-fill, builtin-table-fill-long"
(module
  (table $t 4 funcref)
  (func (export "fill") (param i32 funcref i32)
    (table.fill $t (local.get 0) (local.get 1) (local.get 2))))
