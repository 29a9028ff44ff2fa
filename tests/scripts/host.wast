;; Functions and resources of the host.

(component
  (import "host-return-two" (func $two (result u32)))
  (import "host" (instance $host
    (export "return-three" (func (result u32)))
    (export "nested" (instance (export "return-four" (func (result u32)))))))
  (core func $two' (canon lower (func $two)))
  (core func $three' (canon lower (func $host "return-three")))
  (core func $four' (canon lower (func $host "nested" "return-four")))
  (core module $m
    (import "" "2" (func $2 (result i32)))
    (import "" "3" (func $3 (result i32)))
    (import "" "4" (func $4 (result i32)))
    (func (export "sum") (result i32) (i32.add (call $2) (i32.add (call $3) (call $4)))))
  (core instance $i (instantiate $m (with "" (instance
    (export "2" (func $two')) (export "3" (func $three')) (export "4" (func $four'))))))
  (func (export "sum") (result u32) (canon lift (core func $i "sum"))))
(assert_return (invoke "sum") (u32.const 9))

(component
  (import "host" (instance $host
    (export "resource1" (type $r (sub resource)))
    (export "[constructor]resource1" (func (param "rep" u32) (result (own $r))))
    (export "[static]resource1.assert" (func (param "r" (own $r)) (param "rep" u32)))
    (export "[static]resource1.last-drop" (func (result u32)))
    (export "[static]resource1.drops" (func (result u32)))
    (export "[method]resource1.simple" (func (param "self" (borrow $r)) (param "rep" u32)))
    (export "[method]resource1.take-borrow" (func (param "self" (borrow $r)) (param "b" (borrow $r))))
    (export "[method]resource1.take-own" (func (param "self" (borrow $r)) (param "b" (own $r))))))
  (alias export $host "resource1" (type $r))
  (core func $drop (canon resource.drop $r))
  (core func $new (canon lower (func $host "[constructor]resource1")))
  (core func $assert (canon lower (func $host "[static]resource1.assert")))
  (core func $last (canon lower (func $host "[static]resource1.last-drop")))
  (core func $drops (canon lower (func $host "[static]resource1.drops")))
  (core func $simple (canon lower (func $host "[method]resource1.simple")))
  (core func $take-borrow (canon lower (func $host "[method]resource1.take-borrow")))
  (core func $take-own (canon lower (func $host "[method]resource1.take-own")))
  (core module $m
    (import "" "drop" (func $drop (param i32)))
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "assert" (func $assert (param i32 i32)))
    (import "" "last" (func $last (result i32)))
    (import "" "drops" (func $drops (result i32)))
    (import "" "simple" (func $simple (param i32 i32)))
    (import "" "take-borrow" (func $take-borrow (param i32 i32)))
    (import "" "take-own" (func $take-own (param i32 i32)))
    (func (export "run") (result i32) (local $a i32) (local $b i32) (local $drops i32)
      (local.set $drops (call $drops))
      (local.set $a (call $new (i32.const 100)))
      (local.set $b (call $new (i32.const 200)))
      (if (i32.eq (local.get $a) (local.get $b)) (then unreachable))
      (call $simple (local.get $a) (i32.const 100))
      (call $simple (local.get $b) (i32.const 200))
      (call $take-borrow (local.get $a) (local.get $b))
      (call $take-own (local.get $a) (local.get $b))
      (if (i32.ne (call $drops) (local.get $drops)) (then unreachable))
      (call $drop (local.get $a))
      (if (i32.ne (call $last) (i32.const 100)) (then unreachable))
      (local.set $a (call $new (i32.const 300)))
      (call $assert (local.get $a) (i32.const 300))
      (i32.sub (call $drops) (local.get $drops)))
    (func (export "drop-twice") (local $a i32)
      (local.set $a (call $new (i32.const 1)))
      (call $drop (local.get $a))
      (call $drop (local.get $a))))
  (core instance $i (instantiate $m (with "" (instance
    (export "drop" (func $drop)) (export "new" (func $new)) (export "assert" (func $assert))
    (export "last" (func $last)) (export "drops" (func $drops)) (export "simple" (func $simple))
    (export "take-borrow" (func $take-borrow)) (export "take-own" (func $take-own))))))
  (func (export "run") (result u32) (canon lift (core func $i "run")))
  (func (export "drop-twice") (canon lift (core func $i "drop-twice"))))
(assert_return (invoke "run") (u32.const 1))
(assert_return (invoke "run") (u32.const 1))
(assert_trap (invoke "drop-twice") "unknown handle index 1")
(assert_trap (invoke "run") "cannot enter component instance")

(assert_unlinkable
  (component (import "host" (instance (export "return-five" (func (result u32))))))
  "return-five")
(assert_unlinkable
  (component (import "host" (instance (export "return-three" (func (result u64))))))
  "return-three")
;; An instance that needs nothing needs no counterpart.
(component (import "nobody" (instance)))
;; The equality bound of a resource type.
(component (import "host" (instance
  (export "resource1" (type $r (sub resource)))
  (export "resource1-again" (type (eq $r))))))
(assert_unlinkable
  (component (import "host" (instance
    (export "resource2" (type $r (sub resource)))
    (export "resource1-again" (type (eq $r))))))
  "resource1-again")

;; Imports that are exported again are the host's functions; nothing of the component runs.
(component
  (import "host-return-two" (func $two (result u32)))
  (import "host" (instance $host
    (export "return-three" (func (result u32)))
    (export "return-hi" (func (result string)))))
  (component $inner
    (import "f" (func $f (result string)))
    (export "g" (func $f)))
  (instance $i (instantiate $inner (with "f" (func $host "return-hi"))))
  (core module $m (func (export "f") unreachable))
  (core instance $c (instantiate $m))
  (func (export "trap") (canon lift (core func $c "f")))
  (export "two" (func $two))
  (export "again" (func $two))
  (export "three" (func $host "return-three"))
  (export "hi" (func $i "g")))
(assert_return (invoke "two") (u32.const 2))
(assert_return (invoke "again") (u32.const 2))
(assert_return (invoke "three") (u32.const 3))
(assert_return (invoke "hi") (str.const "hi"))
(assert_trap (invoke "trap") "wasm `unreachable` instruction executed")
(assert_trap (invoke "trap") "cannot enter component instance")
(assert_return (invoke "hi") (str.const "hi"))
