;; The static model: aliases, scopes, ascribed types, names.

;; Outer aliases of modules, components and types, several levels up.
(component
  (type $pair (record (field "a" u32) (field "b" u32)))
  (core module $five (func (export "get") (result i32) (i32.const 5)))
  (component $leaf
    (core instance $i (instantiate $five))
    (func (export "get") (result u32) (canon lift (core func $i "get"))))
  (component $outer
    (component $inner
      (alias outer 2 $five (core module $m))
      (alias outer 2 $leaf (component $l))
      (instance $a (instantiate $l))
      (instance $b (instantiate $l))
      (core instance $i (instantiate $m))
      (core func $a (canon lower (func $a "get")))
      (core func $b (canon lower (func $b "get")))
      (core module $sum
        (import "" "a" (func $a (result i32)))
        (import "" "b" (func $b (result i32)))
        (import "" "c" (func $c (result i32)))
        (func (export "get") (result i32) (i32.add (call $a) (i32.add (call $b) (call $c)))))
      (core instance $s (instantiate $sum (with "" (instance
        (export "a" (func $a)) (export "b" (func $b)) (export "c" (func $i "get"))))))
      (func (export "get") (result u32) (canon lift (core func $s "get"))))
    (instance $x (instantiate $inner))
    (export "x" (instance $x)))
  (instance $o (instantiate $outer))
  (alias export $o "x" (instance $x))
  (func (export "get") (alias export $x "get")))
(assert_return (invoke "get") (u32.const 15))

;; An instance is passed with more exports than are asked for, and in a bag of exports.
(component
  (component $a
    (core module $m (func (export "one") (result i32) (i32.const 1)) (func (export "two") (result i32) (i32.const 2)))
    (core instance $i (instantiate $m))
    (func (export "one") (result u32) (canon lift (core func $i "one")))
    (func (export "two") (result u32) (canon lift (core func $i "two"))))
  (component $b
    (import "in" (instance $in (export "deep" (instance (export "two" (func (result u32)))))))
    (alias export $in "deep" (instance $deep))
    (func (export "two") (alias export $deep "two")))
  (instance $a (instantiate $a))
  (instance $bag (export "deep" (instance $a)) (export "extra" (func $a "one")))
  (instance $b (instantiate $b (with "in" (instance $bag))))
  (func (export "two") (alias export $b "two")))
(assert_return (invoke "two") (u32.const 2))

;; Two instances of a component have resource types of their own.
(component
  (component $c
    (type $r' (resource (rep i32)))
    (export $r "r" (type $r'))
    (core func $new (canon resource.new $r'))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "read") (param i32) (result i32) (local.get 0)))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func (export "make") (param "n" u32) (result (own $r)) (canon lift (core func $i "make")))
    (func (export "read") (param "r" (borrow $r)) (result u32) (canon lift (core func $i "read"))))
  (instance $one (instantiate $c))
  (instance $two (instantiate $c))
  (component $user
    (import "one" (instance $one
      (export "r" (type $r (sub resource)))
      (export "make" (func (param "n" u32) (result (own $r))))
      (export "read" (func (param "r" (borrow $r)) (result u32)))))
    (import "two" (instance $two
      (export "r" (type $r (sub resource)))
      (export "make" (func (param "n" u32) (result (own $r))))
      (export "read" (func (param "r" (borrow $r)) (result u32)))))
    (core func $make1 (canon lower (func $one "make")))
    (core func $read1 (canon lower (func $one "read")))
    (core func $make2 (canon lower (func $two "make")))
    (core func $read2 (canon lower (func $two "read")))
    (core module $m
      (import "" "make1" (func $make1 (param i32) (result i32)))
      (import "" "read1" (func $read1 (param i32) (result i32)))
      (import "" "make2" (func $make2 (param i32) (result i32)))
      (import "" "read2" (func $read2 (param i32) (result i32)))
      (func (export "good") (result i32)
        (i32.add
          (call $read1 (call $make1 (i32.const 40)))
          (call $read2 (call $make2 (i32.const 2)))))
      (func (export "bad") (result i32) (call $read2 (call $make1 (i32.const 40)))))
    (core instance $i (instantiate $m (with "" (instance
      (export "make1" (func $make1)) (export "read1" (func $read1))
      (export "make2" (func $make2)) (export "read2" (func $read2))))))
    (func (export "good") (result u32) (canon lift (core func $i "good")))
    (func (export "bad") (result u32) (canon lift (core func $i "bad"))))
  (instance $user (instantiate $user (with "one" (instance $one)) (with "two" (instance $two))))
  (func (export "good") (alias export $user "good"))
  (func (export "bad") (alias export $user "bad")))
(assert_return (invoke "good") (u32.const 42))
(assert_trap (invoke "bad") "used with the wrong type, expected guest-defined resource but found a different guest-defined resource")

;; Names with an interface that is implemented.
(component
  (import "host" (instance $host (export "return-three" (func (result u32)))))
  (core func $f (canon lower (func $host "return-three")))
  (core module $m (import "" "f" (func $f (result i32))) (func (export "f") (result i32) (call $f)))
  (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func $f' (result u32) (canon lift (core func $i "f")))
  (instance $x (export "f" (func $f')))
  (export "primary" (implements "a:b/c@1.0.0") (instance $x))
  (export "f" (func $f')))
(assert_return (invoke "f") (u32.const 3))

;; A trap while it is instantiated.
(assert_trap
  (component
    (core module $m (func $start unreachable) (start $start))
    (core instance (instantiate $m)))
  "unreachable")
(assert_trap
  (component
    (core module $m (memory 1) (data (i32.const 65536) "x"))
    (core instance (instantiate $m)))
  "out of bounds memory access")
