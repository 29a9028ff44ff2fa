;;! emit = "array-calls"
;;! function = "array-call-resource-drop"
;;! names = "symbols"
;;! covers = "component-trampolines-array-call-resource-drop"
;; One parameter, no result.
(component
  (core module $d (func (export "d") (param i32)))
  (core instance $d (instantiate $d))
  (type $r (resource (rep i32) (dtor (core func $d "d"))))
  (core func $drop (canon resource.drop $r))
  (core module $m
    (import "" "drop" (func $drop (param i32)))
    (func (export "run") (call $drop (i32.const 1))))
  (core instance $m (instantiate $m (with "" (instance (export "drop" (func $drop))))))
  (func (export "run") (canon lift (core func $m "run"))))
