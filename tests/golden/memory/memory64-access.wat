;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;; An address of 64 bits is always checked by code.
(module
  (memory i64 1 10)
  (func (export "load") (param i64) (result i64) (i64.load offset=16 (local.get 0)))
  (func (export "far") (param i64) (result i32)
    (i32.load offset=0xffff_ffff_0000 (local.get 0))))
