;; RUN(134): run --invoke 'f()' %
(component
  (core module $m (func $s (unreachable)) (start $s) (func (export "f")))
  (core instance $m (instantiate $m))
  (func (export "f") (canon lift (core func $m "f"))))
