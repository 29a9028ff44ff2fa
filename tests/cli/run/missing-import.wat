;; RUN(1): run --invoke 'f()' %
(component
  (import "log" (func $log (param "message" string)))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $log (canon lower (func $log) (memory (core memory $libc "memory"))))
  (core module $m
    (import "" "log" (func $log (param i32 i32)))
    (func (export "f") (call $log (i32.const 0) (i32.const 0))))
  (core instance $m (instantiate $m (with "" (instance (export "log" (func $log))))))
  (func (export "f") (canon lift (core func $m "f"))))
