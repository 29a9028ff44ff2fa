;;! function = "function"
;;! cpu = "x86-64-v2"
;; The oldest processors that we compile for need no library calls either.
(module
  (func $round (export "round") (param f64) (result f64)
    (f64.nearest (local.get 0)))
  (func $swizzle (export "swizzle") (param v128 v128) (result v128)
    (i8x16.swizzle (local.get 0) (local.get 1)))
  (func $multiply-add (export "multiply-add") (param v128 v128 v128) (result v128)
    (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2))))
