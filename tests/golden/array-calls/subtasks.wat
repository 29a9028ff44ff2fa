;;! emit = "array-calls"
;;! function = "array-call"
;;! names = "symbols"
;;! covers = "component-trampolines-array-call-subtask-cancel"
;;! covers = "component-trampolines-array-call-subtask-drop"
;; Subtasks, called with an array.
(component
  (core func $cancel (canon subtask.cancel))
  (core func $cancel-async (canon subtask.cancel async))
  (core func $drop (canon subtask.drop))
  (core module $m
    (import "" "cancel" (func $cancel (param i32) (result i32)))
    (import "" "cancel-async" (func $cancel-async (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "run")
      (drop (call $cancel (i32.const 1)))
      (drop (call $cancel-async (i32.const 2)))
      (call $drop (i32.const 1))))
  (core instance $m (instantiate $m (with "" (instance
    (export "cancel" (func $cancel)) (export "cancel-async" (func $cancel-async))
    (export "drop" (func $drop))))))
  (func (export "run") async (canon lift (core func $m "run") async)))
