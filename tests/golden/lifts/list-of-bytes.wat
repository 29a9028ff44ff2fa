;;! emit = "clif"
;;! function = "export-entry[0]-wasm-call"
;;! names = "symbols"
;; A `list<u8>` of the host is copied at once to where `realloc` says: no loop, no other service.
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
    (func (export "f") (param i32 i32)))
  (core instance $m (instantiate $m))
  (func (export "f") (param "bytes" (list u8))
    (canon lift (core func $m "f")
      (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
