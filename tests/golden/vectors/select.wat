;;! function = "function"
;; Comparisons reach what consumes them although a v128 is i8x16 in between.
(module
  (func $blend (export "blend") (param v128 v128 v128 v128) (result v128)
    (v128.bitselect (local.get 0) (local.get 1) (i32x4.gt_s (local.get 2) (local.get 3))))
  (func $maximum (export "maximum") (param v128 v128) (result v128)
    (v128.bitselect (local.get 0) (local.get 1) (i32x4.gt_s (local.get 0) (local.get 1))))
  (func $any-different (export "any-different") (param v128 v128) (result i32)
    (v128.any_true (i64x2.ne (local.get 0) (local.get 1))))
  (func $pseudo-minimum (export "pseudo-minimum") (param v128 v128) (result v128)
    (f32x4.pmin (local.get 0) (local.get 1))))
