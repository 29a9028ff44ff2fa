;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;;! covers = "builtin-atomic-notify"
(module
  (memory 1 1 shared)
  (func (export "notify") (param i32 i32) (result i32)
    (memory.atomic.notify (local.get 0) (local.get 1))))
