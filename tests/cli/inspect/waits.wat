;; RUN: inspect --waits %
;; RUN: compile % -o %tmp/waits.elf
;; RUN: inspect --waits %tmp/waits.elf
;; Which exports may wait, and by which calls: over tables, and into another component.
(component
  (import "slow" (func $slow async (result u32)))

  (component $below
    (core module $m
      (import "" "wait" (func $wait (param i32 i32) (result i32)))
      (import "" "set" (func $set (result i32)))
      (memory (export "memory") 1)
      (func $rest (export "rest") (drop (call $wait (call $set) (i32.const 0))))
      (func (export "quick") (result i32) (i32.const 7)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $wait (canon waitable-set.wait (memory (core memory $libc "memory"))))
    (core func $set (canon waitable-set.new))
    (core instance $i (instantiate $m (with "" (instance
      (export "wait" (func $wait)) (export "set" (func $set))))))
    (func (export "rest") async (canon lift (core func $i "rest") async))
    (func (export "quick") async (result u32) (canon lift (core func $i "quick"))))
  (instance $below (instantiate $below))

  (core func $slow (canon lower (func $slow)))
  (core func $rest (canon lower (func $below "rest")))
  (core func $quick (canon lower (func $below "quick")))
  (core module $m
    (import "" "slow" (func $slow (result i32)))
    (import "" "rest" (func $rest))
    (import "" "quick" (func $quick (result i32)))
    (type $number (func (result i32)))
    (table (export "calls") 2 funcref)
    (elem (i32.const 0) $slow $quick)
    (func $middle (result i32) (call_indirect (type $number) (i32.const 0)))
    (func (export "by-table") (result i32) (call $middle))
    (func (export "below") (call $rest))
    (func (export "never") (result i32) (call $quick))
    (func (export "back") (result i32) (i32.const 0))
    (func (export "back-callback") (param i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $i (instantiate $m (with "" (instance
    (export "slow" (func $slow)) (export "rest" (func $rest)) (export "quick" (func $quick))))))
  (func (export "by-table") async (result u32) (canon lift (core func $i "by-table")))
  (func (export "below") (canon lift (core func $i "below")))
  (func (export "never") async (result u32) (canon lift (core func $i "never")))
  (func (export "back") async
    (canon lift (core func $i "back") async (callback (core func $i "back-callback")))))
