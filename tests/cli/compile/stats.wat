;; RUN: compile --stats --no-inline % -o %tmp/app.elf
;; RUN: compile --stats % -o %tmp/app.elf
;; The first core instance's table is written when the second one is instantiated, as in
;; componentised modules. Only `unused` is reached by nothing; `first` and `any` are imports;
;; `first` calls what is known, `any` through a sealed table, `run` through a table that changes.
(component
  (core module $shim
    (type $t (func (result i32)))
    (table (export "table") 2 2 funcref)
    (func (export "first") (type $t) (call_indirect (type $t) (i32.const 0)))
    (func (export "any") (param i32) (result i32) (call_indirect (type $t) (local.get 0))))
  (core module $user
    (type $t (func (result i32)))
    (import "shim" "first" (func $first (type $t)))
    (import "shim" "any" (func $any (param i32) (result i32)))
    (table $changes (export "changes") 1 10 funcref)
    (func $set (export "set") (table.set $changes (i32.const 0) (ref.func $one)))
    (func $one (export "one") (result i32) (i32.const 1))
    (func $two (export "two") (result i32) (i32.const 2))
    (func $unused (result i32) (call $unused))
    (func (export "run") (result i32)
      (call $set)
      (i32.add
        (call_indirect $changes (type $t) (i32.const 0))
        (i32.add (call $first) (call $any (i32.const 1))))))
  (core module $fill
    (import "shim" "table" (table 2 2 funcref))
    (import "user" "one" (func $one (result i32)))
    (import "user" "two" (func $two (result i32)))
    (elem (i32.const 0) func $one $two))
  (core instance $shim (instantiate $shim))
  (core instance $user (instantiate $user (with "shim" (instance $shim))))
  (core instance $fill
    (instantiate $fill (with "shim" (instance $shim)) (with "user" (instance $user))))
  (func (export "run") (result u32) (canon lift (core func $user "run"))))
