;; RUN(1): run --keyvalue %tmp/store --invoke 'f()' %
;; LEAVES:
;; Versions before a release do not serve each other's guests.
(component
  (import "wasi:keyvalue/store@0.2.0-draft" (instance (export "open" (func))))
  (core module $m (func (export "f")))
  (core instance $m (instantiate $m))
  (func (export "f") (canon lift (core func $m "f"))))
