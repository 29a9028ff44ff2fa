;; RUN(1): run --invoke 'run()' %
;; RUN: run --invoke 'my:pkg/one@1.2.0#run()' %
;; RUN: run --invoke 'my:pkg/two.run@1.2.0()' %
;; RUN: run --invoke 'my:pkg/two#run()' %
;; RUN: run --invoke 'plain#run()' %
;; RUN: run --invoke 'one.run()' %
;; RUN: run --invoke 'only-x()' %
;; RUN(1): run --invoke 'my:pkg/one@1.2.0#rum()' %
;; RUN(1): run --invoke 'my:pkg/one@1.3.0#run()' %
;; RUN(1): run %
(component
  (core module $m (func (export "a") (result i32) (i32.const 1)) (func (export "b") (result i32) (i32.const 2)) (func (export "c") (result i32) (i32.const 3)))
  (core instance $i (instantiate $m))
  (func $a (result u32) (canon lift (core func $i "a")))
  (func $b (result u32) (canon lift (core func $i "b")))
  (func $c (result u32) (canon lift (core func $i "c")))
  (instance $x (export "run" (func $a)) (export "only-x" (func $a)))
  (instance $y (export "run" (func $b)))
  (instance $z (export "run" (func $c)))
  (export "my:pkg/one@1.2.0" (instance $x))
  (export "my:pkg/two@1.2.0" (instance $y))
  (export "plain" (instance $z)))
