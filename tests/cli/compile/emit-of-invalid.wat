;; RUN(1): compile --emit clif %
;; RUN(1): compile --emit plan %
(component
  (core module $m (func (export "f") (result i32) (i64.const 1)))
  (core instance $m (instantiate $m))
  (func (export "f") (result string) (canon lift (core func $m "f"))))
