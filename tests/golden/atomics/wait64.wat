;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;;! covers = "builtin-atomic-wait64"
(module
  (memory 1 1 shared)
  (func (export "wait") (param i32 i64 i64) (result i32)
    (memory.atomic.wait64 offset=8 (local.get 0) (local.get 1) (local.get 2))))
