;; RUN: run --stdin %tmp/in --stdout %tmp/out --stderr %tmp/messages %
;; RUN: run --stdin %tmp/out %
;; RUN: run --stdin %tmp/messages %
;; RUN: run --stdin %tmp/in --stdout %tmp/both --stderr %tmp/both %
;; RUN: run --stdin %tmp/both %
;; RUN(1): run --stdin %tmp/missing --stdout %tmp/in %
;; RUN(1): run --stdin %tmp %
;; RUN(1): run --stdout %tmp/no/such/folder %
;; RUN(1): run --stderr %tmp %
;; RUN(1): run --stdin %tmp/in --stderr %tmp/./in %
;; RUN(1): run --dir %tmp/missing --stdout %tmp/in %
;; RUN: run --stdin %tmp/in %
;; FILE: in text\0a
;; FILE: out what was there before, which is longer
;; LEAVES: both in messages out
;; A program that prints its input, and says `done` on standard error.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 32) "done\n")
  (func (export "_start")
    (loop $next
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 1024))
      (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4))
        (then (call $exit (i32.const 3))))
      (if (i32.load (i32.const 4))
        (then
          (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
            (then (call $exit (i32.const 4))))
          (br $next))))
    (i32.store (i32.const 0) (i32.const 32))
    (i32.store (i32.const 4) (i32.const 5))
    (if (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))
      (then (call $exit (i32.const 5))))))
