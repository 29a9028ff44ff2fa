;;! function = "function"
;; Widening products are one or two instructions.
(module
  (func $dot (export "dot") (param v128 v128) (result v128)
    (i32x4.dot_i16x8_s (local.get 0) (local.get 1)))
  (func $wide (export "wide") (param v128 v128) (result v128)
    (i64x2.extmul_low_i32x4_u (local.get 0) (local.get 1)))
  (func $pairs (export "pairs") (param v128) (result v128)
    (i32x4.extadd_pairwise_i16x8_s (local.get 0))))
