;; RUN: inspect --all %
;; A core module stays one.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
  (import "env" "log" (func (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")))
