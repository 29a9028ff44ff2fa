;;! emit = "clif"
;;! function = "wasm[0]"
;;! names = "symbols"
;; A tail call of an import of the host goes to its trampoline.
(component
  (import "f" (func $f (param "x" u32) (result u32)))
  (core func $f (canon lower (func $f)))
  (core module $m
    (import "" "f" (func $f (param i32) (result i32)))
    (func (export "run") (param i32) (result i32) (return_call $f (local.get 0))))
  (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func (export "run") (param "x" u32) (result u32) (canon lift (core func $m "run"))))
