;; Lists of owned handles, of a resource of the host and of one of its own, go back as they came.
;;
;; POINTER stands for the type of addresses, MEMORY for `i64` or nothing, SIZE for the bytes of an
;; address.
(component
  (import "host" (instance $host (export "r" (type $r (sub resource)))))
  (alias export $host "r" (type $r))
  (type $d' (resource (rep i32)))
  (core func $new (canon resource.new $d'))
  (core func $rep (canon resource.rep $d'))
  (core func $drop (canon resource.drop $d'))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "rep" (func $rep (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (memory (export "memory") MEMORY 1)
    (func (export "realloc") (param POINTER POINTER POINTER POINTER) (result POINTER)
      (POINTER.const 1024))
    (func (export "echo") (param $at POINTER) (param $count POINTER) (result POINTER)
      (POINTER.store (POINTER.const 16) (local.get $at))
      (POINTER.store offset=SIZE (POINTER.const 16) (local.get $count))
      (POINTER.const 16))
    (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
    (func (export "take") (param i32) (result i32) (local $rep i32)
      (local.set $rep (call $rep (local.get 0)))
      (call $drop (local.get 0))
      (local.get $rep)))
  (core instance $m (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
  (export $d "d" (type $d'))
  (func (export "make") (param "rep" u32) (result (own $d)) (canon lift (core func $m "make")))
  (func (export "take") (param "d" (own $d)) (result u32) (canon lift (core func $m "take")))
  (func (export "hosts") (param "all" (list (own $r))) (result (list (own $r)))
    (canon lift (core func $m "echo")
      (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
  (func (export "guests") (param "all" (list (own $d))) (result (list (own $d)))
    (canon lift (core func $m "echo")
      (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
