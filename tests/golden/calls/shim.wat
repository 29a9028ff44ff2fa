;;! emit = "clif"
;;! function = "wasm[0]"
;; Calls at constant indices through a shim's table, which the last instance fills: direct calls, or
;; traps. Of the table's functions only those are compiled that something calls.
(component
  (core module $shim
    (type $i (func (result i32)))
    (table (export "t") 3 funcref)
    (func (export "f") (param i32) (result i32) (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)))
    (func (export "wrong") (result i32) (call_indirect (result i32) (i32.const 0)))
    (func (export "null") (result i32) (call_indirect (result i32) (i32.const 2)))
    (func (export "outside") (result i32) (call_indirect (result i32) (i32.const 3))))
  (core module $fixup (import "shim" "t" (table 3 funcref)) (elem (i32.const 0) $f $unused)
    (func $f (param i32) (result i32) (local.get 0))
    (func $unused))
  (core instance $shim (instantiate $shim))
  (core instance (instantiate $fixup (with "shim" (instance $shim))))
  (func (export "f") (param "x" u32) (result u32) (canon lift (core func $shim "f")))
  (func (export "wrong") (result u32) (canon lift (core func $shim "wrong")))
  (func (export "null") (result u32) (canon lift (core func $shim "null")))
  (func (export "outside") (result u32) (canon lift (core func $shim "outside"))))
