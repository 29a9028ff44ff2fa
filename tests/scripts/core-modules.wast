;; Core modules as imports and exports.

;; One that the host provides, in an instance.
(component
  (import "host" (instance $host
    (export "simple-module" (core module
      (export "g" (global i32))
      (export "f" (func (result i32)))))))
  (core instance $m (instantiate (module $host "simple-module")))
  (core module $reader
    (import "m" "g" (global $g i32))
    (import "m" "f" (func $f (result i32)))
    (func (export "sum") (result i32) (i32.add (global.get $g) (call $f))))
  (core instance $r (instantiate $reader (with "m" (instance $m))))
  (func (export "sum") (result u32) (canon lift (core func $r "sum"))))
(assert_return (invoke "sum") (u32.const 201))

;; Those that an instance of the script exports.
(component $a
  (core module (export "counter")
    (global $n (mut i32) (i32.const 7))
    (memory (export "mem") 2 3)
    (func (export "next") (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (global.get $n))
    (func (export "unused"))))
(component
  (import "a" (instance $a
    (export "counter" (core module
      (import "not" "needed" (func))
      (export "mem" (memory 1))
      (export "next" (func (result i32)))))))
  (core module $nothing (func (export "needed")))
  (core instance $not (instantiate $nothing))
  (core instance $one (instantiate (module $a "counter") (with "not" (instance $not))))
  (core instance $two (instantiate (module $a "counter") (with "not" (instance $not))))
  (func (export "one") (result u32) (canon lift (core func $one "next")))
  (func (export "two") (result u32) (canon lift (core func $two "next"))))
(assert_return (invoke "one") (u32.const 8))
(assert_return (invoke "one") (u32.const 9))
(assert_return (invoke "two") (u32.const 8))

;; A module passed on by one component, instantiated by another.
(component
  (import "a" (instance $a
    (export "counter" (core module (export "next" (func (result i32)))))))
  (component $user
    (import "m" (core module $m (export "next" (func (result i32)))))
    (core instance $i (instantiate $m))
    (func (export "next") (result u32) (canon lift (core func $i "next"))))
  (instance $u (instantiate $user (with "m" (core module $a "counter"))))
  (func (export "next") (alias export $u "next")))
(assert_return (invoke "next") (u32.const 8))

(assert_unlinkable
  (component (import "a" (instance (export "counter" (core module
    (export "missing" (func)))))))
  "missing")
(assert_unlinkable
  (component (import "a" (instance (export "counter" (core module
    (export "next" (func (result i64))))))))
  "type")
(assert_unlinkable
  (component (import "a" (instance (export "counter" (core module
    (export "mem" (memory 3)))))))
  "limits")
(assert_unlinkable
  (component (import "a" (instance (export "counter" (core module
    (export "mem" (memory 1 2)))))))
  "limits")
(assert_unlinkable
  (component (import "nobody" (core module)))
  "nobody")
