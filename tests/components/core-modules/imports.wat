;; A memory, a table and a global that nobody gives are made.
(module
  (import "a" "memory" (memory $m 2 4)) (export "memory" (memory $m))
  (import "a" "table" (table 3 funcref))
  (import "a" "global" (global $g (mut i64))) (export "global" (global $g))
  (func $f) (elem (i32.const 2) func $f)
  (data (i32.const 0x1ffff) "z")
  (func (export "size") (result i32 i32) (memory.size) (table.size)))
