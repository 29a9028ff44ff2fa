;;! function = "function"
;;! emit = "asm"
;; Constants are stored by the instruction that has them. What is in a memory of the minimal length cannot trap;
;; the last store is not.
(module
  (memory 1)
  (func $stores (export "stores") (param $to i32)
    (i32.store8 offset=1 (local.get $to) (i32.const 255))
    (i32.store16 offset=2 (local.get $to) (i32.const -2))
    (i64.store32 offset=4 (local.get $to) (i64.const 0x1_8000_0000))
    (f32.store offset=8 (local.get $to) (f32.const 1.5))
    (f64.store offset=16 (local.get $to) (f64.const 0))
    (f64.store offset=24 (local.get $to) (f64.const 0.1)))
  (func $static (export "static") (param $value i32)
    (i32.store offset=4 (i32.const 65528) (local.get $value))
    (i32.store offset=4 (i32.const 65529) (local.get $value))))
