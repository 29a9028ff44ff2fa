;;! emit = "clif"
;;! function = "post-return"
;;! function = "export-entry[0]-native-call"
;;! names = "symbols"
;;! covers = "post-return-wasm-call, post-return-native-call"
;; Between the entry and post-return nothing else may enter. It gets the core function's result
;; again, from where the entry kept it.
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "f") (result i32) (i32.const 16))
    (func (export "post") (param i32)))
  (core instance $m (instantiate $m))
  (func (export "f") (result string)
    (canon lift (core func $m "f")
      (memory (core memory $m "memory")) (post-return (core func $m "post")))))
