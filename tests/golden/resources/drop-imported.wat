;;! emit = "clif"
;;! function = "resource-drop"
;;! names = "symbols"
;;! covers = "builtin-host-resource-drop"
;; Of a resource of the host: the host's destructor runs for an owned handle, which may fail.
(component
  (import "r" (type $r (sub resource)))
  (core func $drop (canon resource.drop $r))
  (core module $m
    (import "" "drop" (func $drop (param i32)))
    (func (export "run") (call $drop (i32.const 1))))
  (core instance $m (instantiate $m (with "" (instance (export "drop" (func $drop))))))
  (func (export "run") (canon lift (core func $m "run"))))
