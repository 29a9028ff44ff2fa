;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;; Alignment is checked; each is one atomic instruction.
(module
  (memory 1 1 shared)
  (func (export "add") (param i32 i32) (result i32)
    (i32.atomic.rmw.add (local.get 0) (local.get 1)))
  (func (export "cmpxchg") (param i32 i64 i64) (result i64)
    (i64.atomic.rmw16.cmpxchg_u offset=2 (local.get 0) (local.get 1) (local.get 2))))
