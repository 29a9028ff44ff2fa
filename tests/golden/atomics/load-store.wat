;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;; Loads, stores and the fence.
(module
  (memory 1 1 shared)
  (func (export "load") (param i32) (result i32) (i32.atomic.load8_u (local.get 0)))
  (func (export "store") (param i32 i64)
    (i64.atomic.store (local.get 0) (local.get 1))
    (atomic.fence)))
