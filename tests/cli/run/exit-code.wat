;; RUN(1): run %
;; A preview-1 module is wrapped. WASI 0.2 knows success and failure; the number is lost.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 7))))
