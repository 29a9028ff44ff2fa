;;! emit = "clif"
;;! function = "wasm[0]"
;; A start function runs before the shim's table is filled: the call is direct once the entry is there.
(component
  (core module $shim
    (table (export "t") 1 funcref)
    (func (export "f") (param i32) (result i32) (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0))))
  (core module $started (func $s) (start $s))
  (core module $fixup (import "shim" "t" (table 1 funcref)) (elem (i32.const 0) $f)
    (func $f (param i32) (result i32) (local.get 0)))
  (core instance $shim (instantiate $shim))
  (core instance (instantiate $started))
  (core instance (instantiate $fixup (with "shim" (instance $shim))))
  (func (export "f") (param "x" u32) (result u32) (canon lift (core func $shim "f"))))
