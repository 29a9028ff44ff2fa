;;! emit = "clif"
;;! function = "component-trampolines"
;;! function = "thread-start"
;;! names = "symbols"
;;! covers = "component-trampolines-wasm-call-thread-index, builtin-thread-index"
;;! covers = "component-trampolines-wasm-call-thread-new, builtin-thread-new"
;;! covers = "component-trampolines-wasm-call-thread-operate, builtin-thread-operate"
;;! covers = "thread-start-wasm-call, thread-start-native-call"
;; Threads that name each other. The function of a new one is looked up in its table, and its type
;; is checked, before it is begun.
(component
  (core module $libc
    (table (export "table") 2 2 funcref)
    (func $start (param i32))
    (elem (i32.const 1) $start))
  (core instance $libc (instantiate $libc))
  (core type $start (func (param i32)))
  (core func $index (canon thread.index))
  (alias core export $libc "table" (core table $table))
  (core func $new (canon thread.new-indirect $start (core table $table)))
  (core func $later (canon thread.resume-later))
  (core func $suspend (canon thread.suspend))
  (core module $m
    (import "" "index" (func $index (result i32)))
    (import "" "new" (func $new (param i32 i32) (result i32)))
    (import "" "later" (func $later (param i32)))
    (import "" "suspend" (func $suspend (result i32)))
    (func (export "run")
      (call $later (call $new (i32.const 1) (call $index)))
      (drop (call $suspend))))
  (core instance $m (instantiate $m (with "" (instance
    (export "index" (func $index)) (export "new" (func $new))
    (export "later" (func $later)) (export "suspend" (func $suspend))))))
  (func (export "run") async (canon lift (core func $m "run") async)))
