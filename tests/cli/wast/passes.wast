;; RUN: wast %
;; RUN: wast --json %
(module (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))
(assert_return (invoke "f" (i32.const 1)) (i32.const 2))
(assert_malformed (module quote "(func") "expected")
(component
  (core module $m (func (export "f") (result i32) (i32.const 42)))
  (core instance $m (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $m "f"))))
(assert_return (invoke "f") (u32.const 42))
