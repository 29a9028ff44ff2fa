;;! emit = "array-calls"
;;! function = "array-call"
;;! names = "symbols"
;;! covers = "component-trampolines-array-call-thread-index"
;;! covers = "component-trampolines-array-call-thread-new"
;;! covers = "component-trampolines-array-call-thread-operate"
;; Threads, called with an array.
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
