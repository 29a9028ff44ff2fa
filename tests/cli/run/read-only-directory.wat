;; RUN: run --dir %tmp::d %
;; RUN(69): run --dir %tmp::d:ro %
;; RUN(69): run --dir %tmp:ro %
;; RUN(1): run --dir %tmp/a:ro %
;; RUN(1): run --dir %tmp/b:ro --dir c %
;; RUN(2): run --dir %tmp:ro:ro %
;; RUN(2): run --dir %tmp:ro::d %
;; FILE: a:ro text
;; LEAVES: a:ro new
;; A program that makes a file in its directory, and ends with the error number; 69 is that of a
;; filesystem that is read-only.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "new")
  (func (export "_start")
    (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 3)
      (i32.const 1) (i64.const 0x42) (i64.const 0) (i32.const 0) (i32.const 0)))))
