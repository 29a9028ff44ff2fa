;; A host function called from a component that another component calls; and one that gives a
;; list and is told when the list is given back.
(component
  (import "fail" (func $fail (param "how" u32) (result u32)))
  (component $callee
    (import "fail" (func $fail (param "how" u32) (result u32)))
    (core func $fail' (canon lower (func $fail)))
    (core module $m
      (import "" "fail" (func $fail (param i32) (result i32)))
      (func (export "f") (param i32) (result i32) (call $fail (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance (export "fail" (func $fail'))))))
    (func (export "f") (param "how" u32) (result u32) (canon lift (core func $i "f"))))
  (instance $callee (instantiate $callee (with "fail" (func $fail))))
  (core func $f (canon lower (func $callee "f")))
  (core module $m
    (import "" "f" (func $f (param i32) (result i32)))
    (memory (export "memory") 1)
    (global $ended (mut i32) (i32.const 0))
    (data (i32.const 16) "\20\00\00\00\04\00\00\00")
    (data (i32.const 32) "abcd")
    (func (export "call") (param i32) (result i32) (call $f (local.get 0)))
    (func (export "bytes") (result i32) (i32.const 16))
    ;; Overwrites the bytes, so that reading them later would show.
    (func (export "end") (param i32)
      (global.set $ended (i32.add (global.get $ended) (i32.const 1)))
      (i32.store (i32.const 32) (i32.const 0)))
    (func (export "ended") (result i32) (global.get $ended)))
  (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func (export "call") (param "how" u32) (result u32) (canon lift (core func $i "call")))
  (func (export "bytes") (result (list u8)) (canon lift (core func $i "bytes")
    (memory (core memory $i "memory")) (post-return (core func $i "end"))))
  (func (export "ended") (result u32) (canon lift (core func $i "ended"))))
