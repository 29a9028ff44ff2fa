;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;; More results than registers.
(module
  (func $many (result i32 i64 f32 f64 i32 i64 i32 i64 i32 i64)
    (i32.const 0) (i64.const 1) (f32.const 2) (f64.const 3) (i32.const 4)
    (i64.const 5) (i32.const 6) (i64.const 7) (i32.const 8) (i64.const 9))
  (func (export "last") (result i64)
    (local $last i64)
    (call $many)
    (local.set $last)
    (drop) (drop) (drop) (drop) (drop) (drop) (drop) (drop) (drop)
    (local.get $last)))
