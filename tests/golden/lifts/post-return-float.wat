;;! emit = "clif"
;;! function = "-wasm-call::f"
;;! names = "symbols"
;; A float is kept as its bits between the entry and post-return.
(component
  (core module $m
    (func (export "f") (result f32) (f32.const 1))
    (func (export "post") (param f32)))
  (core instance $m (instantiate $m))
  (func (export "f") (result f32)
    (canon lift (core func $m "f") (post-return (core func $m "post")))))
