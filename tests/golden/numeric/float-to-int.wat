;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;; One traps, the other saturates.
(module
  (func (export "trunc") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func (export "trunc_sat") (param f64) (result i64) (i64.trunc_sat_f64_u (local.get 0))))
