;; RUN(1): run %
;; It serves HTTP.
(component
  (core module $m (func (export "run") (result i32) (i32.const 0)))
  (core instance $m (instantiate $m))
  (func $run (result (result)) (canon lift (core func $m "run")))
  (instance (export "wasi:http/incoming-handler@0.2.0") (export "handle" (func $run))))
