;; What Emscripten makes: WASI beside functions of `env`, which the host provides, and a table of
;; functions that `env` calls back through `invoke`.
(module
  (import "env" "twice" (func $twice (param i32) (result i32)))
  (import "env" "note" (func $note (param i32)))
  (import "env" "noted" (func $noted (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\08\00\00\00")
  (data (i32.const 16) "twice: \n")
  (func (export "_start")
    (call $note (call $twice (i32.const 20)))
    (i32.store8 (i32.const 22) (i32.add (i32.const 48) (i32.rem_u (call $noted) (i32.const 7))))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $proc_exit (call $noted))))
