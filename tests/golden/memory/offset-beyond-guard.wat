;;! emit = "clif"
;;! function = "function"
;; No guard page covers this offset: the length in the root is compared.
(module
  (memory 1)
  (func $load (export "load") (param i32) (result i32)
    (i32.load offset=0xf0000000 (local.get 0))))
