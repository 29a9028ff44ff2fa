;;! emit = "clif"
;;! function = "component-trampolines"
;;! names = "symbols"
;;! covers = "component-trampolines-wasm-call-waitable-set-new, builtin-waitable-set-new"
;;! covers = "component-trampolines-wasm-call-waitable-set-wait, builtin-waitable-set-wait"
;;! covers = "component-trampolines-wasm-call-waitable-set-poll, builtin-waitable-set-poll"
;;! covers = "component-trampolines-wasm-call-waitable-set-drop, builtin-waitable-set-drop"
;;! covers = "component-trampolines-wasm-call-waitable-join, builtin-waitable-join"
;; Waitable sets. The runtime checks where an event goes.
(component
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $new (canon waitable-set.new))
  (core func $wait (canon waitable-set.wait (memory (core memory $libc "memory"))))
  (core func $poll (canon waitable-set.poll (memory (core memory $libc "memory"))))
  (core func $drop (canon waitable-set.drop))
  (core func $join (canon waitable.join))
  (core module $m
    (import "" "new" (func $new (result i32)))
    (import "" "wait" (func $wait (param i32 i32) (result i32)))
    (import "" "poll" (func $poll (param i32 i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "join" (func $join (param i32 i32)))
    (func (export "run")
      (call $join (i32.const 1) (call $new))
      (drop (call $poll (i32.const 2) (i32.const 16)))
      (drop (call $wait (i32.const 2) (i32.const 16)))
      (call $drop (i32.const 2))))
  (core instance $m (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "wait" (func $wait)) (export "poll" (func $poll))
    (export "drop" (func $drop)) (export "join" (func $join))))))
  (func (export "run") async (canon lift (core func $m "run") async)))
