;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;;! covers = "wasm::function"
;; A call of another instance's function is direct, with the context of the callee's slab.
(component
  (core module $a (memory 1) (func (export "f") (result i32) (i32.load (i32.const 0))))
  (core instance $a (instantiate $a))
  (core module $b
    (import "a" "f" (func $f (result i32)))
    (memory 1)
    (func (export "run") (result i32) (i32.add (call $f) (i32.load (i32.const 4)))))
  (core instance $b (instantiate $b (with "a" (instance $a))))
  (func (export "run") (result u32) (canon lift (core func $b "run"))))
