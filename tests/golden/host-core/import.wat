;;! emit = "clif"
;;! function = "wasm-to-array"
;;! names = "symbols"
;;! alone = "yes"
;;! covers = "wasm-to-array"
;; Parameters and results travel in one array; a failure and an interruption trap.
(module
  (import "host" "f" (func $f (param i32 f64) (result i64)))
  (func (export "run") (result i64) (call $f (i32.const 1) (f64.const 2))))
