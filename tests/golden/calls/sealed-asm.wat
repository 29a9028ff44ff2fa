;;! function = "::run"
;; An interpreter's loop over a table that never changes: one type with a null, and one type without.
(module
  (type $op (func (param i32) (result i32)))
  (memory 1)
  (table $null 3 funcref) (elem (table $null) (i32.const 1) func $add $jump)
  (table $full 2 funcref) (elem (table $full) (i32.const 0) func $add $jump)
  (func $add (type $op) (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (i32.add (local.get 0) (i32.const 1)))
  (func $jump (type $op) (i32.load (i32.const 4)))
  (func $run (export "run") (param $pc i32)
    (loop $next
      (local.set $pc (call_indirect $null (type $op) (local.get $pc) (i32.load8_u (local.get $pc))))
      (br_if $next (local.get $pc))))
  (func $run-full (export "run-full") (param $pc i32)
    (loop $next
      (local.set $pc (call_indirect $full (type $op) (local.get $pc) (i32.load8_u (local.get $pc))))
      (br_if $next (local.get $pc)))))
