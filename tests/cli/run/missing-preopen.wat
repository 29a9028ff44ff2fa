;; RUN(1): run --dir %tmp/no/such/folder --invoke 'f()' %
(component
  (core module $m (func (export "f")))
  (core instance $m (instantiate $m))
  (func (export "f") (canon lift (core func $m "f"))))
