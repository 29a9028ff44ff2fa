;; RUN(1): run --invoke 'visit()' %
;; RUN: run --keyvalue %tmp/store --invoke 'visit()' %
;; RUN: run --keyvalue %tmp/store --invoke 'visit()' %
;; RUN: run --keyvalue %tmp/other --invoke 'visit()' %
;; RUN(1): run --keyvalue %tmp/text --invoke 'visit()' %
;; RUN(1): run --keyvalue %tmp/no/such --invoke 'visit()' %
;; FILE: text something else
;; LEAVES: other store text
;; A program that counts how often it was called.
(component
  (import "wasi:keyvalue/store@0.2.0-draft2" (instance $store
    (type $why (variant (case "no-such-store") (case "access-denied") (case "other" string)))
    (export "error" (type $error (eq $why)))
    (export "bucket" (type $bucket (sub resource)))
    (export "open" (func (param "identifier" string)
      (result (result (own $bucket) (error $error)))))))
  (alias export $store "error" (type $error))
  (alias export $store "bucket" (type $bucket))
  (import "wasi:keyvalue/atomics@0.2.0-draft2" (instance $atomics
    (alias outer 1 $error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (alias outer 1 $bucket (type $outer-bucket))
    (export "bucket" (type $bucket (eq $outer-bucket)))
    (export "increment" (func
      (param "bucket" (borrow $bucket)) (param "key" string) (param "delta" s64)
      (result (result s64 (error $error)))))))
  (core module $memory
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $memory (instantiate $memory))
  (core func $open (canon lower (func $store "open")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core func $increment (canon lower (func $atomics "increment")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "open" (func $open (param i32 i32 i32)))
    (import "" "increment" (func $increment (param i32 i32 i32 i64 i32)))
    (data (i32.const 0) "visits")
    (func (export "visit") (result i64)
      (call $open (i32.const 0) (i32.const 0) (i32.const 16))
      (if (i32.load8_u (i32.const 16)) (then (unreachable)))
      (call $increment (i32.load (i32.const 20))
        (i32.const 0) (i32.const 6) (i64.const 1) (i32.const 32))
      (if (i32.load8_u (i32.const 32)) (then (unreachable)))
      (i64.load (i32.const 40))))
  (core instance $m (instantiate $m (with "" (instance
    (export "memory" (memory $memory "memory"))
    (export "open" (func $open))
    (export "increment" (func $increment))))))
  (func (export "visit") (result s64) (canon lift (core func $m "visit"))))
