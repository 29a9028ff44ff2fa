;;! emit = "clif"
;;! function = "export-entry"
;;! names = "symbols"
;;! covers = "export-entry-wasm-call, export-entry-native-call"
;; What the host calls: it saves and restores what the C convention asks for, around the wasm-call
;; body.
(component
  (core module $m (func (export "f") (param i32) (result f64) (f64.const 1)))
  (core instance $m (instantiate $m))
  (func (export "f") (param "x" s16) (result f64) (canon lift (core func $m "f"))))
