;;! function = "array-to-wasm"
;;! alone = "yes"
;; The entry in machine code.
(module
  (func (export "f") (param i32) (result i32) (local.get 0)))
