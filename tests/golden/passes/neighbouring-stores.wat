;;! function = "function"
;;! emit = "asm"
;; Constants that are stored next to each other are one store where no trap can come between them.
(module
  (memory 1)
  (func $static (export "static") (param $x i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 1))
    (i32.store8 offset=1 (i32.const 1024) (i32.const 2))
    (i32.store16 offset=2 (i32.const 1024) (i32.const -2))
    (f32.store offset=4 (i32.const 1024) (f32.const 1))
    (i32.store offset=8 (i32.const 1024) (local.get $x))
    (i32.store offset=20 (i32.const 1024) (i32.const 7))
    (i32.store offset=16 (i32.const 1024) (i32.const 6))
    (i32.load8_u offset=16 (i32.const 1024))
    (i32.store offset=24 (i32.const 1024) (i32.const 8))
    (i32.store offset=28 (i32.const 1024) (i32.const 9))
    (i32.store offset=28 (i32.const 1024) (i32.const 10)))
  (func $may-trap (export "may-trap") (param $to i32)
    (i32.store (local.get $to) (i32.const 1))
    (i32.store offset=4 (local.get $to) (i32.const 2))))
