;;! emit = "clif"
;;! function = "adapter"
;;! names = "symbols"
;; Two instances share a memory: the source is copied before `realloc` can change it.
(component
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8)))
  (core instance $libc (instantiate $libc))
  (core module $to (func (export "take") (param i32 i32)))
  (core instance $to (instantiate $to))
  (func $take (param "s" string)
    (canon lift (core func $to "take")
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $take (canon lower (func $take) (memory (core memory $libc "memory"))))
  (core module $m
    (import "" "take" (func $take (param i32 i32)))
    (func (export "run") (call $take (i32.const 0) (i32.const 4))))
  (core instance $m (instantiate $m (with "" (instance (export "take" (func $take))))))
  (func (export "run") (canon lift (core func $m "run"))))
