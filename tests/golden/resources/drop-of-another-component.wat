;;! emit = "clif"
;;! function = "trampolines[0]-wasm-call-resource-drop"
;;! names = "symbols"
;; The destructor belongs to another component, which is entered.
(component
  (component $back
    (core module $d (func (export "d") (param i32)))
    (core instance $d (instantiate $d))
    (type $r' (resource (rep i32) (dtor (core func $d "d"))))
    (export "r" (type $r')))
  (component $front
    (import "r" (type $r (sub resource)))
    (core func $drop (canon resource.drop $r))
    (core module $m
      (import "" "drop" (func $drop (param i32)))
      (func (export "run") (call $drop (i32.const 1))))
    (core instance $m (instantiate $m (with "" (instance (export "drop" (func $drop))))))
    (func (export "run") (canon lift (core func $m "run"))))
  (instance $back (instantiate $back))
  (alias export $back "r" (type $r))
  (instance $front (instantiate $front (with "r" (type $r))))
  (export "run" (func $front "run")))
