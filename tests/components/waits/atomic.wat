;; Waits at addresses of shared memories that nobody notifies.
(module
  (memory (export "memory") 1 1 shared)
  (func (export "wait32") (result i32)
    (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 3600000000000)))
  (func (export "wait64") (result i32)
    (memory.atomic.wait64 (i32.const 8) (i64.const 0) (i64.const 3600000000000)))
  (func (export "forever") (result i32)
    (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))
  (func (export "spin") (result i32)
    (loop $again
      (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 100000)))
      (br $again))
    (unreachable)))
