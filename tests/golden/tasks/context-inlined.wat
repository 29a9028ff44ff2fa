;;! function = "task-body[0]-wasm"
;;! inline = "yes"
;; Inlined, a context slot is one instruction at a constant place.
(component
  (core func $get (canon context.get i32 0))
  (core func $set (canon context.set i32 1))
  (core module $m
    (import "" "get" (func $get (result i32)))
    (import "" "set" (func $set (param i32)))
    (func (export "run") (call $set (call $get))))
  (core instance $m (instantiate $m (with "" (instance
    (export "get" (func $get)) (export "set" (func $set))))))
  (func (export "run") async (canon lift (core func $m "run") async)))
