;; RUN(134): run --invoke 'f()' %
(component
  (core module $m
    (func $_ZN4core9panicking5panic17h0123456789abcdefE unreachable)
    (func $_ZNSt6vectorIiSaIiEE9push_backERKi (call $_ZN4core9panicking5panic17h0123456789abcdefE))
    (func $_RNvC6_123foo3bar (call $_ZNSt6vectorIiSaIiEE9push_backERKi))
    (func (export "f") (call $_RNvC6_123foo3bar)))
  (core instance $m (instantiate $m))
  (func (export "f") (canon lift (core func $m "f"))))
