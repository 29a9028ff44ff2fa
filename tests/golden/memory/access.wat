;;! function = "function"
;; Guard pages check these accesses: an address is one addition and one addressing mode.
(module
  (memory 1)
  (func $load (export "load") (param i32) (result i32)
    (i32.load offset=16 (local.get 0)))
  (func $narrow-store (export "narrow-store") (param i32 i64)
    (i64.store16 offset=65534 (local.get 0) (local.get 1)))
  (func $vector (export "vector") (param i32 i32)
    (v128.store (local.get 0) (i32x4.add (v128.load (local.get 0)) (v128.load (local.get 1))))))
