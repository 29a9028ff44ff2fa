;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;; `unreachable` raises its code out of line, with a frame that a backtrace can start from.
(module
  (func (export "f") (param i32) (result i32)
    (if (local.get 0) (then (unreachable)))
    (i32.const 1)))
