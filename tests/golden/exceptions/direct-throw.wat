;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;; Thrown and caught in one function.
(module
  (tag $e (param i32))
  (func (export "f") (param i32) (result i32)
    (block $caught (result i32)
      (try_table (catch $e $caught) (throw $e (local.get 0)))
      (unreachable))))
