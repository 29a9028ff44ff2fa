;;! function = "function[1]"
;; A function that calls another checks the stack first; one that calls nothing does not.
(module
  (func $leaf (result i32) (i32.const 1))
  (func (export "f") (result i32) (i32.add (call $leaf) (call $leaf))))
