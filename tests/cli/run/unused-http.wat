;; RUN: run --invoke 'f()' %
;; RUN: run --invoke 'g()' %
;; Runtimes of languages import HTTP whether a program uses it or not. What sends nothing works.
(component
  (import "wasi:http/types@0.2.3" (instance $types
    (export "fields" (type $fields (sub resource)))
    (export "[constructor]fields" (func (result (own $fields))))))
  (core func $new (canon lower (func $types "[constructor]fields")))
  (core module $m
    (import "" "new" (func $new (result i32)))
    (func (export "f") (result i32) (i32.const 7))
    (func (export "g") (drop (call $new))))
  (core instance $m (instantiate $m (with "" (instance (export "new" (func $new))))))
  (func (export "f") (result u32) (canon lift (core func $m "f")))
  (func (export "g") (canon lift (core func $m "g"))))
