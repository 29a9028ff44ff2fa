;; Everything it imports comes from modules that are bound when compiling.
(module
  (import "library" "memory" (memory 1))
  (import "library" "table" (table 3 funcref))
  (import "library" "count" (global $count (mut i32)))
  (import "library" "add" (func $add (param i32) (result i32)))
  (import "library" "log" (func $log (param i32)))
  (import "base" "seed" (global $seed i32))
  (global $sum i32 (i32.add (global.get $seed) (i32.const 5)))
  (func (export "run") (result i32 i32 i32 i32)
    (call $log (global.get $sum))
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.load16_u (i32.const 10)) (call $add (i32.const 1)) (global.get $count)
    (call_indirect (result i32) (i32.const 0))))
