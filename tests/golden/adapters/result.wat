;;! emit = "clif"
;;! function = "adapter"
;;! names = "symbols"
;; The cases of a result share flat values: they are joined, and split again once the case is
;; known.
(component
  (component $to
    (core module $m (memory (export "memory") 1) (func (export "f") (param i32 i64) (result i32) (i32.const 0)))
    (core instance $m (instantiate $m))
    (func (export "f") (param "x" (result u8 (error f64))) (result (option u32))
      (canon lift (core func $m "f") (memory (core memory $m "memory")))))
  (component $from
    (import "f" (func $f (param "x" (result u8 (error f64))) (result (option u32))))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $f (canon lower (func $f) (memory (core memory $libc "memory"))))
    (core module $m
      (import "" "f" (func $f (param i32 i64 i32)))
      (func (export "run") (call $f (i32.const 1) (i64.const 0) (i32.const 64))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") (canon lift (core func $m "run"))))
  (instance $to (instantiate $to))
  (instance $from (instantiate $from (with "f" (func $to "f"))))
  (export "run" (func $from "run")))
