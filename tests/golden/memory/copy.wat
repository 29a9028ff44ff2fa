;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;;! covers = "builtin-memmove, builtin-memmove-long"
;; Between two memories: both ranges are checked before anything is written.
(module
  (memory $a 1)
  (memory $b 1)
  (func (export "copy") (param i32 i32 i32)
    (memory.copy $a $b (local.get 0) (local.get 1) (local.get 2))))
