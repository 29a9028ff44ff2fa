;;! emit = "clif"
;;! function = "export-entry[0]-wasm-call"
;;! names = "symbols"
;;! covers = "builtin-utf8-validate"
;; A string of the host is copied to where `realloc` says, and not validated again; the result is
;; lent where it is, once it is known to be UTF-8.
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
    (func (export "f") (param i32 i32) (result i32) (i32.const 16)))
  (core instance $m (instantiate $m))
  (func (export "f") (param "s" string) (result string)
    (canon lift (core func $m "f")
      (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
