;;! emit = "array-calls"
;;! function = "resource-drop[0]-array-call"
;;! names = "symbols"
;;! covers = "resource-drop-array-call"
;; A destructor that the host calls with an array.
(component
  (core module $d (func (export "d") (param i32)))
  (core instance $d (instantiate $d))
  (type $r (resource (rep i32) (dtor (core func $d "d"))))
  (export "r" (type $r)))
