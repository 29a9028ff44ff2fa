;; RUN(134): run --invoke 'f()' %
;; What failed in the host comes before where the guest was.
(component
  (import "wasi:sockets/none@0.2.0" (instance $s (export "none" (func))))
  (core func $none (canon lower (func $s "none")))
  (core module $m
    (import "" "none" (func $none))
    (func $inner (call $none))
    (func (export "f") (call $inner)))
  (core instance $m (instantiate $m (with "" (instance (export "none" (func $none))))))
  (func (export "f") (canon lift (core func $m "f"))))
