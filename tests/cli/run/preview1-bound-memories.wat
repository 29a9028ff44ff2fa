;; FILE: say.wat (module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32))) (memory (export "memory") 1) (data (i32.const 0) "\5c10\5c00\5c00\5c00\5c06\5c00\5c00\5c00") (data (i32.const 16) "bound\5c0a") (func (export "say") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
;; RUN: run --core-module say=%tmp/say.wat %
;; Modules that are bound together each write from their own memory.
(module
  (import "say" "say" (func $say))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\05\00\00\00")
  (data (i32.const 16) "main\n")
  (func (export "_start")
    (call $say)
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
