;; RUN: run % --help
;; RUN: run % -h --version --dir=/ --env X=1 --timeout=5
;; RUN: run -- % -O0 -- --invoke 'f()'
;; What stands behind the input is the guest's, whatever it looks like: the program prints it, and
;; then the number of its variables.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (local $at i32)
    (local $end i32)
    (drop (call $args_sizes (i32.const 0) (i32.const 4)))
    (drop (call $args (i32.const 16) (i32.const 256)))
    ;; The bytes that end the arguments become ends of lines.
    (local.set $at (i32.const 256))
    (local.set $end (i32.add (i32.const 256) (i32.load (i32.const 4))))
    (loop $next
      (if (i32.eqz (i32.load8_u (local.get $at)))
        (then (i32.store8 (local.get $at) (i32.const 10))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (drop (call $env (i32.const 8) (i32.const 12)))
    (i32.store8 (local.get $end) (i32.add (i32.const 48) (i32.load (i32.const 8))))
    (i32.store8 offset=1 (local.get $end) (i32.const 10))
    (i32.store (i32.const 0) (i32.const 256))
    (i32.store (i32.const 4) (i32.sub (i32.add (local.get $end) (i32.const 2)) (i32.const 256)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
