;; RUN: run %
;; A preview-1 program owns its memory: nothing but its own code grows it, and what it did not hand out is free for its heap.
;; This one does what Go's and TinyGo's runtimes do: ask the host something first (the clock), then take all of memory up to memory.size as heap.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "\10\00\00\00\03\00\00\00")
  (data (i32.const 16) "ok\n")
  (func (export "_start")
    (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 64)))
    (if (i32.ne (memory.size) (i32.const 2)) (then (i32.store8 (i32.const 18) (i32.const 0x21))))
    (memory.fill (i32.const 4096) (i32.const 0xaa) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4096)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
