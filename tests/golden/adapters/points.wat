;;! emit = "clif"
;;! function = "adapter"
;; A list of plain records: one copy, no loop.
(component
  (component $Back
    (core module $libc
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))
    (type $point' (record (field "x" f32) (field "y" f32) (field "z" f32))) (export $point "point" (type $point'))
    (core module $m (func (export "f") (param i32 i32)))
    (core instance $m (instantiate $m))
    (func (export "f") (param "l" (list $point))
      (canon lift (core func $m "f") (memory $memory) (realloc $realloc)))
  )
  (component $Front
    (core module $libc
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))
    (type $point' (record (field "x" f32) (field "y" f32) (field "z" f32))) (import "point" (type $point (eq $point')))
    (import "f" (func $f (param "l" (list $point))))
    (core func $f (canon lower (func $f) (memory $memory)))
    (core module $m
      (import "" "f" (func $f (param i32 i32)))
      (table 1 funcref)
      (elem (i32.const 0) func $f)
      (type $t (func (param i32 i32)))
      (func (export "run") (local i32) (local i32)
        (call_indirect (type $t) (local.get 0) (local.get 1) (i32.const 0))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") (canon lift (core func $m "run")))
  )
  (instance $back (instantiate $Back))
  (alias export $back "point" (type $point))
  (instance $front (instantiate $Front (with "f" (func $back "f")) (with "point" (type $point))))
  (func (export "run") (alias export $front "run"))
)
