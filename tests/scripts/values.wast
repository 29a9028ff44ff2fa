;; Types that only newer revisions have: maps and lists of fixed length.

(component $maps
  (type $m (map string u32))
  (core module $echo
    (memory (export "mem") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get 2))))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at))
    (func (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 16) (local.get 0))
      (i32.store (i32.const 20) (local.get 1))
      (i32.const 16)))
  (core instance $i (instantiate $echo))
  (func (export "echo") (param "m" $m) (result $m)
    (canon lift (core func $i "echo") (memory (core memory $i "mem")) (realloc (core func $i "realloc")))))
(assert_return
  (invoke "echo" (map.const (entry (str.const "a") (u32.const 1)) (entry (str.const "b") (u32.const 2))))
  (map.const (entry (str.const "a") (u32.const 1)) (entry (str.const "b") (u32.const 2))))
(assert_return (invoke "echo" (map.const)) (map.const))

;; From one component to another: a list of fixed length travels in flat values and in memory.
(component
  (component $callee
    (type $l (list u32 3))
    (type $nested (list (tuple u8 u16) 2))
    (core module $m
      (memory (export "mem") 1)
      (func (export "sum") (param i32 i32 i32) (result i32)
        (i32.add (local.get 0) (i32.add (local.get 1) (local.get 2))))
      (func (export "make") (param i32) (result i32)
        (i32.store8 (i32.const 100) (local.get 0))
        (i32.store16 (i32.const 102) (i32.const 0x1234))
        (i32.store8 (i32.const 104) (i32.add (local.get 0) (i32.const 1)))
        (i32.store16 (i32.const 106) (i32.const 0x5678))
        (i32.const 100)))
    (core instance $i (instantiate $m))
    (func (export "sum") (param "l" $l) (result u32) (canon lift (core func $i "sum")))
    (func (export "make") (param "n" u8) (result $nested)
      (canon lift (core func $i "make") (memory (core memory $i "mem")))))
  (component $caller
    (import "c" (instance $c
      (export "sum" (func (param "l" (list u32 3)) (result u32)))
      (export "make" (func (param "n" u8) (result (list (tuple u8 u16) 2))))))
    (core module $memory (memory (export "mem") 1))
    (core instance $memory (instantiate $memory))
    (core func $sum (canon lower (func $c "sum")))
    (core func $make (canon lower (func $c "make") (memory (core memory $memory "mem"))))
    (core module $m
      (import "" "mem" (memory 1))
      (import "" "sum" (func $sum (param i32 i32 i32) (result i32)))
      (import "" "make" (func $make (param i32 i32)))
      (func (export "sum") (result i32) (call $sum (i32.const 1) (i32.const 20) (i32.const 300)))
      (func (export "make") (result i64)
        (call $make (i32.const 0x11) (i32.const 200))
        ;; Padding is not copied: only what belongs to values is compared.
        (i64.and (i64.load (i32.const 200)) (i64.const 0xffff00ffffff00ff))))
    (core instance $i (instantiate $m (with "" (instance
      (export "mem" (memory $memory "mem")) (export "sum" (func $sum)) (export "make" (func $make))))))
    (func (export "sum") (result u32) (canon lift (core func $i "sum")))
    (func (export "make") (result u64) (canon lift (core func $i "make"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "c" (instance $callee))))
  (func (export "sum") (alias export $caller "sum"))
  (func (export "make") (alias export $caller "make")))
(assert_return (invoke "sum") (u32.const 321))
(assert_return (invoke "make") (u64.const 0x5678001212340011))

;; A component with a 64-bit memory, and a string out of its bounds.
(component definition $wide
  (core module $m
    (memory (export "mem") i64 1)
    (data (i64.const 8) "wide")
    (func (export "realloc") (param i64 i64 i64 i64) (result i64) (i64.const 1024))
    (func (export "length") (param i64 i64) (result i32) (i32.wrap_i64 (local.get 1)))
    (func (export "text") (result i64)
      (i64.store (i64.const 16) (i64.const 8))
      (i64.store (i64.const 24) (i64.const 4))
      (i64.const 16))
    (func (export "beyond") (result i64)
      (i64.store (i64.const 16) (i64.const 0xffffffffffffffff))
      (i64.store (i64.const 24) (i64.const 4))
      (i64.const 16)))
  (core instance $i (instantiate $m))
  (func (export "length") (param "s" string) (result u32)
    (canon lift (core func $i "length") (memory (core memory $i "mem")) (realloc (core func $i "realloc"))))
  (func (export "text") (result string)
    (canon lift (core func $i "text") (memory (core memory $i "mem"))))
  (func (export "beyond") (result string)
    (canon lift (core func $i "beyond") (memory (core memory $i "mem")))))
(component instance $wide $wide)
(assert_return (invoke "length" (str.const "hello")) (u32.const 5))
(assert_return (invoke "text") (str.const "wide"))
(assert_trap (invoke "beyond") "string pointer/length out of bounds of memory")
(assert_trap (invoke "text") "cannot enter component instance")
(component instance $again $wide)
(assert_return (invoke "text") (str.const "wide"))
(assert_trap (invoke "length" (u32.const 5)) "expected")
(assert_trap (invoke "length") "expected 1 arguments")
