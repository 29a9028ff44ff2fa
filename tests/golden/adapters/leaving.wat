;;! emit = "clif"
;;! function = "adapter"
;;! names = "symbols"
;; A `realloc` that calls an import must find that it may not leave.
(component
  (import "log" (func $log))
  (component $to
    (import "log" (func $log))
    (core func $log (canon lower (func $log)))
    (core module $m
      (import "" "log" (func $log))
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $log) (i32.const 8))
      (func (export "take") (param i32 i32)))
    (core instance $m (instantiate $m (with "" (instance (export "log" (func $log))))))
    (func (export "take") (param "list" (list u8))
      (canon lift (core func $m "take")
        (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
  (component $from
    (import "take" (func $take (param "list" (list u8))))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $take (canon lower (func $take) (memory (core memory $libc "memory"))))
    (core module $m
      (import "" "take" (func $take (param i32 i32)))
      (func (export "run") (call $take (i32.const 0) (i32.const 4))))
    (core instance $m (instantiate $m (with "" (instance (export "take" (func $take))))))
    (func (export "run") (canon lift (core func $m "run"))))
  (instance $to (instantiate $to (with "log" (func $log))))
  (instance $from (instantiate $from (with "take" (func $to "take"))))
  (export "run" (func $from "run")))
