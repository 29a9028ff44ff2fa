;;! emit = "clif"
;;! function = "resource-drop[0]"
;;! names = "symbols"
;;! covers = "resource-drop-wasm-call, resource-drop-native-call"
;; The host drops a handle that it owns: the destructor runs.
(component
  (core module $d (func (export "d") (param i32)))
  (core instance $d (instantiate $d))
  (type $r (resource (rep i32) (dtor (core func $d "d"))))
  (export "r" (type $r)))
