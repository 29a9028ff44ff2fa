;; RUN(134): run --invoke 'text()' %
;; RUN(134): run --invoke 'letter()' %
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 64) "\ff\ff")
    (func (export "text") (result i32)
      (i32.store (i32.const 16) (i32.const 64))
      (i32.store (i32.const 20) (i32.const 2))
      (i32.const 16))
    (func (export "letter") (result i32) (i32.const 0xd800)))
  (core instance $m (instantiate $m))
  (func (export "text") (result string)
    (canon lift (core func $m "text") (memory (core memory $m "memory"))))
  (func (export "letter") (result char) (canon lift (core func $m "letter"))))
