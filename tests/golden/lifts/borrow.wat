;;! emit = "clif"
;;! function = "export-entry[0]-wasm-call"
;;! names = "symbols"
;;! covers = "builtin-handle-table-grow"
;; A borrowed handle of a resource of the host gets into the table, and must be gone after the call.
(component
  (import "r" (type $r (sub resource)))
  (core module $m (func (export "f") (param i32)))
  (core instance $m (instantiate $m))
  (func (export "f") (param "r" (borrow $r)) (canon lift (core func $m "f"))))
