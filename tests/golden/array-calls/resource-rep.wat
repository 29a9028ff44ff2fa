;;! emit = "array-calls"
;;! function = "array-call-resource-rep"
;;! names = "symbols"
;;! covers = "component-trampolines-array-call-resource-rep"
;; One parameter, one result.
(component
  (type $r (resource (rep i32)))
  (core func $rep (canon resource.rep $r))
  (core module $m
    (import "" "rep" (func $rep (param i32) (result i32)))
    (func (export "run") (drop (call $rep (i32.const 1)))))
  (core instance $m (instantiate $m (with "" (instance (export "rep" (func $rep))))))
  (func (export "run") (canon lift (core func $m "run"))))
