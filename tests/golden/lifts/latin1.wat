;;! emit = "clif"
;;! function = "export-entry[0]-wasm-call"
;;! names = "symbols"
;;! covers = "builtin-ascii-validate, builtin-arena-allocate"
;; A result that is not ASCII becomes UTF-8 in the store's arena.
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "f") (result i32) (i32.const 16)))
  (core instance $m (instantiate $m))
  (func (export "f") (result string)
    (canon lift (core func $m "f") string-encoding=latin1+utf16 (memory (core memory $m "memory")))))
