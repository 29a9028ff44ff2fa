;; RUN(134): run --invoke 'f(9)' %
;; RUN(134): run --no-inline --invoke 'f(9)' %
(component
  (core module $m
    (func $odd (param i32) (result i32)
      (if (result i32) (local.get 0)
        (then (i32.add (i32.const 1) (call $even (i32.sub (local.get 0) (i32.const 1)))))
        (else unreachable)))
    (func $even (param i32) (result i32)
      (if (result i32) (local.get 0)
        (then (i32.add (i32.const 1) (call $odd (i32.sub (local.get 0) (i32.const 1)))))
        (else unreachable)))
    (func (export "f") (param i32) (result i32) (call $odd (local.get 0))))
  (core instance $m (instantiate $m))
  (func (export "f") (param "x" u32) (result u32) (canon lift (core func $m "f"))))
