;;! emit = "clif"
;;! function = "task-body[1]"
;;! function = "task-callback[1]"
;;! function = "task-result[1]"
;;! names = "symbols"
;;! covers = "task-body-wasm-call, task-callback-wasm-call, task-result-wasm-call"
;;! covers = "task-body-native-call, task-callback-native-call, task-result-native-call"
;; The pieces of a call from one component to another whose caller waits: parameters come from an
;; array, codes go to the record, the flat result goes where the record says.
(component
  (component $back
    (core module $m
      (func (export "f") (param i32 f64) (result i32) (i32.const 0))
      (func (export "back") (param i32 i32 i32) (result i32) (i32.const 0)))
    (core instance $m (instantiate $m))
    (func (export "f") async (param "x" u8) (param "y" f64) (result bool)
      (canon lift (core func $m "f") async (callback (core func $m "back")))))
  (component $front
    (import "f" (func $f async (param "x" u8) (param "y" f64) (result bool)))
    (core func $f (canon lower (func $f)))
    (core module $m
      (import "" "f" (func $f (param i32 f64) (result i32)))
      (func (export "run") (drop (call $f (i32.const 1) (f64.const 2)))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") async (canon lift (core func $m "run"))))
  (instance $back (instantiate $back))
  (instance $front (instantiate $front (with "f" (func $back "f"))))
  (export "run" (func $front "run")))
