;;! emit = "clif"
;;! function = "lower-import"
;;! names = "symbols"
;; Built in the arena: pointers and lengths of the strings, which are lent where they are.
(component
  (import "f" (func $f (param "s" (list string))))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $f (canon lower (func $f) (memory (core memory $libc "memory"))))
  (core module $m
    (import "" "f" (func $f (param i32 i32)))
    (func (export "run") (call $f (i32.const 0) (i32.const 4))))
  (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func (export "run") (canon lift (core func $m "run"))))
