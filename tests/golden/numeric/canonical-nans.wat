;;! function = "function"
;;! nan = "canonical"
;; A NaN that an instruction makes has the canonical bits; one that is only moved keeps its own.
(module
  (func (export "div") (param f32 f32) (result f32) (f32.div (local.get 0) (local.get 1)))
  (func (export "neg") (param f64) (result f64) (f64.neg (local.get 0))))
