;;! emit = "clif"
;;! function = "adapter"
;;! names = "symbols"
;; The result is read before post-return is called, which may not leave.
(component
  (import "log" (func $log))
  (component $to
    (import "log" (func $log))
    (core func $log (canon lower (func $log)))
    (core module $m
      (import "" "log" (func $log))
      (memory (export "memory") 1)
      (func (export "f") (result i32) (i32.const 16))
      (func (export "post") (param i32) (call $log)))
    (core instance $m (instantiate $m (with "" (instance (export "log" (func $log))))))
    (func (export "f") (result (tuple u8 u32))
      (canon lift (core func $m "f")
        (memory (core memory $m "memory")) (post-return (core func $m "post")))))
  (component $from
    (import "f" (func $f (result (tuple u8 u32))))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $f (canon lower (func $f) (memory (core memory $libc "memory"))))
    (core module $m
      (import "" "f" (func $f (param i32)))
      (func (export "run") (call $f (i32.const 64))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") (canon lift (core func $m "run"))))
  (instance $to (instantiate $to (with "log" (func $log))))
  (instance $from (instantiate $from (with "f" (func $to "f"))))
  (export "run" (func $from "run")))
