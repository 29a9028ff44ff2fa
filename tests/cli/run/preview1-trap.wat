;; RUN(134): run --no-inline %
;; RUN(134): run --invoke 'outside()' %
;; Offsets are those of the module itself. An address outside of memory traps.
(module $program
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $inner (unreachable))
  (func $start (export "_start") (call $inner))
  (func $outside (export "outside") (result i32)
    (call $random (i32.const 65528) (i32.const 16))))
