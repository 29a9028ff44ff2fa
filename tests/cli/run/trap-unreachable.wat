;; RUN(134): run --invoke 'f()' %
(component
  (core module $m
    (func $inner (unreachable))
    (func (export "f") (call $inner)))
  (core instance $m (instantiate $m))
  (func (export "f") (canon lift (core func $m "f"))))
