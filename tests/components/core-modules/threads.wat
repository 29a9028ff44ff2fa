;; A shared memory of the host, and one of its own.
(module
  (import "env" "memory" (memory 1 2 shared))
  (memory $other (export "other") 1 1 shared)
  (func (export "run") (param i32) (result i32)
    (loop
      (drop (i32.atomic.rmw.add (i32.const 8) (i32.const 1)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.atomic.load $other (i32.const 0)))
  (func (export "wait") (result i32)
    (memory.atomic.wait32 (i32.const 16) (i32.const 0) (i64.const -1)))
  (data (memory $other) (i32.const 0) "\05"))
