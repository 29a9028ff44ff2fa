;;! emit = "clif"
;;! function = "export-entry[0]-wasm-call"
;;! names = "symbols"
;; Pointers and lengths of 64 bits: no sum may wrap.
(component
  (core module $m
    (memory (export "memory") i64 1)
    (func (export "realloc") (param i64 i64 i64 i64) (result i64) (i64.const 8))
    (func (export "f") (param i64 i64) (result i64) (i64.const 16)))
  (core instance $m (instantiate $m))
  (func (export "f") (param "list" (list u32)) (result (list u32))
    (canon lift (core func $m "f")
      (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
