;; Bound to imports of `program.wat`; it imports from another module and the host.
(module
  (import "base" "seed" (global $seed i32))
  (import "host" "log" (func $log (param i32)))
  (memory (export "memory") 2 4) (data (i32.const 10) "hi")
  (table (export "table") 3 funcref) (elem (i32.const 0) $seven)
  (global (export "count") (mut i32) (global.get $seed))
  (func $seven (result i32) (call $log (i32.const 7)) (i32.const 7))
  (func (export "add") (param i32) (result i32)
    (i32.add (local.get 0) (global.get $seed)))
  (export "log" (func $log)))
