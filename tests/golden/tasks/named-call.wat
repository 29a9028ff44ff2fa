;;! emit = "clif"
;;! function = "export-entry[0]-wasm"
;;! names = "symbols"
;; A synchronously typed call in an instance whose threads name each other has a record, so that
;; they can name it.
(component
  (core func $index (canon thread.index))
  (core module $m
    (import "" "index" (func $index (result i32)))
    (func (export "run") (result i32) (call $index)))
  (core instance $m (instantiate $m (with "" (instance (export "index" (func $index))))))
  (func (export "run") (result u32) (canon lift (core func $m "run"))))
