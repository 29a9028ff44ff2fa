;; RUN(1): run --as-component %
;; RUN(1): run --as-component --invoke 'f()' %
;; RUN: compile --as-component % -o %tmp/wrapped.elf
;; RUN(1): run --precompiled %tmp/wrapped.elf
;; RUN(1): run --as-component %tmp/wrapped.elf
;; RUN(1): run --precompiled --as-component %tmp/wrapped.elf
;; FILE: component.wat (component)
;; RUN(1): compile --as-component %tmp/component.wat
;; FILE: plain.wat (module)
;; RUN(1): inspect --as-component %tmp/plain.wat
;; A preview-1 module is wrapped if that is asked for. WASI 0.2 knows success and failure; the number
;; is lost.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 7))))
