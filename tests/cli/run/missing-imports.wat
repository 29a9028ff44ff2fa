;; RUN(1): run --invoke 'f()' %
;; RUN(1): run --trap-unknown-imports=my: --invoke 'f()' %
;; RUN: run --trap-unknown-imports --invoke 'f()' %
;; RUN(134): run --trap-unknown-imports --invoke 'g()' %
(component
  (import "log" (func $log))
  (import "my:host/store@1.0.0" (instance $store
    (export "bucket" (type (sub resource)))
    (export "open" (func))
    (export "close" (func))))
  (import "wasi:keyvalue/store@0.2.0-draft" (instance (export "get" (func))))
  (import "wasi:cli/exit@0.4.0" (instance (export "exit" (func))))
  (core func $log (canon lower (func $log)))
  (core module $m
    (import "" "log" (func $log))
    (func (export "f") (result i32) (i32.const 7))
    (func (export "g") (call $log)))
  (core instance $m (instantiate $m (with "" (instance (export "log" (func $log))))))
  (func (export "f") (result u32) (canon lift (core func $m "f")))
  (func (export "g") (canon lift (core func $m "g"))))
