;;! emit = "clif"
;;! function = "function[1]"
;;! names = "symbols"
;; A tail call leaves the function, and its handlers with it.
(module
  (func $may)
  (func (export "f")
    (block $caught (try_table (catch_all $caught) (return_call $may)))))
