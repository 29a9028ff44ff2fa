;; RUN(1): run --env TRAMPETTE_NO_SUCH_VARIABLE --invoke 'f()' %
(component
  (core module $m (func (export "f")))
  (core instance $m (instantiate $m))
  (func (export "f") (canon lift (core func $m "f"))))
