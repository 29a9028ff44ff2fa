;; RUN(3): run --invoke 'exit(3)' %
;; RUN(255): run --invoke 'exit(255)' %
;; RUN: run --invoke 'exit(0)' %
;; RUN(44): run --invoke 'exit(300)' %
;; RUN(7): run %
;; As natively, an exit code is the low byte of what the program says.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 7)))
  (func (export "exit") (param i32) (call $exit (local.get 0))))
