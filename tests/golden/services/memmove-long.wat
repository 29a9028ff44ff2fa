;;! emit = "clif"
;;! function = "builtin-memmove-long"
;;! names = "symbols"
;; Of the services that an interrupt ends, the trampoline traps.
(module
  (memory 1)
  (func (export "copy") (param i32)
    (memory.copy (i32.const 0) (i32.const 64) (local.get 0))))
