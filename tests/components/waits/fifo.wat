;; Reads from a pipe with a name, to which nobody writes. Wrapped into a component, it does the same
;; through WASI 0.2.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "pipe")
  ;; Where to read to: 16 bytes at 64.
  (data (i32.const 16) "\40\00\00\00\10\00\00\00")
  (func (export "_start")
    (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4)
          (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32))
      (then unreachable))
    (if (call $fd_read (i32.load (i32.const 32)) (i32.const 16) (i32.const 1) (i32.const 36))
      (then unreachable))
    ;; What was written.
    (if (i32.ne (i32.load (i32.const 36)) (i32.const 5)) (then unreachable))
    (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 111)) (then unreachable))))
