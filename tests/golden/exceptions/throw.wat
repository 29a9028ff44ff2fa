;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;;! covers = "builtin-throw"
;; The values of the tag are given to the runtime in slots.
(module
  (tag $e (param i32 f64))
  (func (export "throw") (param i32) (throw $e (local.get 0) (f64.const 1))))
