;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;; Sums of 64 bits may wrap.
(module
  (memory i64 1)
  (func (export "fill") (param i64 i32 i64)
    (memory.fill (local.get 0) (local.get 1) (local.get 2)))
  (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0))))
