;;! emit = "clif"
;;! function = "function"
;;! bounds = "explicit"
;;! spectre = "mitigated"
;; Behind each check by code, an address out of bounds is replaced by the start of the memory or table.
(module
  (memory 1)
  (table $t (export "t") 4 funcref)
  (func $load (export "load") (param i32) (result i32)
    (i32.load offset=16 (local.get 0)))
  (func $copy (export "copy") (param i32 i32 i32)
    (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func $entry (export "entry") (param i32) (result i32)
    (ref.is_null (table.get $t (local.get 0))))
  (func $clear (export "clear") (param i32 i32)
    (table.fill $t (local.get 0) (ref.null func) (local.get 1))))
