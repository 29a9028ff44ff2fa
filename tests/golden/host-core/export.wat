;;! emit = "clif"
;;! function = "array-to-wasm"
;;! names = "symbols"
;;! alone = "yes"
;;! covers = "wasm::array-to-wasm"
;; What the host calls of a core module on its own, around the wasm-call function.
(module
  (func (export "f") (param i32 f32 v128) (result i64 f64) (i64.const 1) (f64.const 2)))
