;;! emit = "clif"
;;! function = "-wasm-call::f"
;;! names = "symbols"
;;! covers = "builtin-arena-mark, builtin-arena-reset"
;; Built in the arena, which post-return gives back.
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "f") (result i32) (i32.const 16))
    (func (export "post") (param i32)))
  (core instance $m (instantiate $m))
  (func (export "f") (result (list string))
    (canon lift (core func $m "f")
      (memory (core memory $m "memory")) (post-return (core func $m "post")))))
