;;! function = "export-entry[0]-native-call"
;; The entry in machine code.
(component
  (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
  (core instance $m (instantiate $m))
  (func (export "f") (param "x" u32) (result u32) (canon lift (core func $m "f"))))
