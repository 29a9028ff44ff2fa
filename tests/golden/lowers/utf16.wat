;;! emit = "clif"
;;! function = "lower-import"
;;! names = "symbols"
;; UTF-16 becomes UTF-8 in the arena, of which the call gives back what it took.
(component
  (import "f" (func $f (param "s" string)))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $f
    (canon lower (func $f) string-encoding=utf16 (memory (core memory $libc "memory"))))
  (core module $m
    (import "" "f" (func $f (param i32 i32)))
    (func (export "run") (call $f (i32.const 0) (i32.const 4))))
  (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func (export "run") (canon lift (core func $m "run"))))
