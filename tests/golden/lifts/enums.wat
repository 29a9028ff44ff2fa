;;! emit = "clif"
;;! function = "export-entry[0]-wasm-call"
;;! names = "symbols"
;;! covers = "builtin-enums-validate"
;; A list of enums is lent where it is, once all are known to be cases.
(component
  (type $e' (enum "a" "b" "c"))
  (export $e "e" (type $e'))
  (core module $m
    (memory (export "memory") 1)
    (func (export "f") (result i32) (i32.const 16)))
  (core instance $m (instantiate $m))
  (func (export "f") (result (list $e))
    (canon lift (core func $m "f") (memory (core memory $m "memory")))))
