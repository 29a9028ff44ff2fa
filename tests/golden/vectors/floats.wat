;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;; Minima are those of WebAssembly, pseudo-minima those of the processor; conversions saturate.
(module
  (func (export "min") (param v128 v128) (result v128) (f32x4.min (local.get 0) (local.get 1)))
  (func (export "pmin") (param v128 v128) (result v128) (f32x4.pmin (local.get 0) (local.get 1)))
  (func (export "trunc") (param v128) (result v128)
    (i32x4.trunc_sat_f64x2_u_zero (local.get 0))))
