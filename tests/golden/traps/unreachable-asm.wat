;;! function = "function"
;; What raises is behind the code; what the processor traps on is in the table of traps.
(module
  (func (export "f") (param i32 i32) (result i32)
    (if (local.get 0) (then (unreachable)))
    (i32.div_u (i32.const 1) (local.get 1))))
