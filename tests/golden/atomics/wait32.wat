;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;;! covers = "builtin-atomic-wait32"
;; Checked for range and alignment; waiting for ever where nobody can notify traps.
(module
  (memory 1 1 shared)
  (func (export "wait") (param i32 i32 i64) (result i32)
    (memory.atomic.wait32 (local.get 0) (local.get 1) (local.get 2))))
