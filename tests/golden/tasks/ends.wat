;;! emit = "clif"
;;! function = "adapter"
;;! function = "task-body[1]-wasm"
;;! names = "symbols"
;;! covers = "builtin-end-take, builtin-end-give"
;; A readable end passes from one instance to another: out of the caller's table when the task
;; begins, then into the callee's.
(component
  (component $back
    (core module $m (func (export "f") (param i32)))
    (core instance $m (instantiate $m))
    (func (export "f") async (param "s" (stream u8)) (canon lift (core func $m "f") async)))
  (component $front
    (import "f" (func $f async (param "s" (stream u8))))
    (core func $f (canon lower (func $f) async))
    (core module $m
      (import "" "f" (func $f (param i32) (result i32)))
      (func (export "run") (drop (call $f (i32.const 1)))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") async (canon lift (core func $m "run") async)))
  (instance $back (instantiate $back))
  (instance $front (instantiate $front (with "f" (func $back "f"))))
  (export "run" (func $front "run")))
