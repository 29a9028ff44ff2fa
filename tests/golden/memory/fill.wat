;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;;! covers = "builtin-memset, builtin-memset-long"
;; Checked once; long fills are those that an interrupt ends.
(module
  (memory 1)
  (func (export "fill") (param i32 i32 i32)
    (memory.fill (local.get 0) (local.get 1) (local.get 2))))
