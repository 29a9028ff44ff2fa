;; RUN(1): wast %
;; RUN(1): wast --json %
(module
  (func (export "f") (result i32) (i32.const 1))
  (func (export "trap") (unreachable)))
(assert_return (invoke "f") (i32.const 2))
(assert_trap (invoke "f") "unreachable")
(assert_trap (invoke "trap") "integer overflow")
(assert_return (invoke "none"))
