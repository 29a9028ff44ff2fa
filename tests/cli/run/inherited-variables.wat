;; RUN: run %
;; RUN: run --env OTHER=1 %
;; RUN(1): run --env PATH %
;; RUN(1): run --inherit-env %
;; RUN(1): run --inherit-env --env PATH=x %
;; RUN(1): run --inherit-env --env OTHER=1 %
;; A program that ends with the number of its variables whose names are `PATH`.
(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 32)
  (func (export "_start")
    (local $at i32)
    (local $found i32)
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $get (i32.const 16) (i32.const 0x80000)))
    (if (i32.load (i32.const 0))
      (then
        (loop $next
          (local.set $found (i32.add (local.get $found)
            ;; "PATH="
            (i64.eq (i64.const 0x3d48544150) (i64.and (i64.const 0xffffffffff)
              (i64.load (i32.load offset=16 (i32.shl (local.get $at) (i32.const 2))))))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $at) (i32.load (i32.const 0)))))))
    (call $exit (local.get $found))))
