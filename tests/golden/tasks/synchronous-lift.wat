;;! emit = "clif"
;;! function = "task-body[1]-wasm"
;;! names = "symbols"
;;! covers = "builtin-task-resolve"
;;! blocking = "assumed"
;; A function of an `async` type that is lifted without `async`: the core function's result is moved
;; to the caller, which hears of it before post-return.
(component
  (component $back
    (core module $m
      (func (export "f") (result i32) (i32.const 8))
      (func (export "post") (param i32)))
    (core instance $m (instantiate $m))
    (func (export "f") async (result u32)
      (canon lift (core func $m "f") (post-return (core func $m "post")))))
  (component $front
    (import "f" (func $f async (result u32)))
    (core func $f (canon lower (func $f)))
    (core module $m
      (import "" "f" (func $f (result i32)))
      (func (export "run") (drop (call $f))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") async (canon lift (core func $m "run"))))
  (instance $back (instantiate $back))
  (instance $front (instantiate $front (with "f" (func $back "f"))))
  (export "run" (func $front "run")))
