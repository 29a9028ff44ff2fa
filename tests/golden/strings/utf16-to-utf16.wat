;;! emit = "clif"
;;! function = "adapter"
;;! names = "symbols"
;;! covers = "builtin-utf16-validate"
;; Two bytes a unit, aligned, copied and validated.
(component
  (component $from
    (import "take" (func $take (param "s" string)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $take
      (canon lower (func $take) string-encoding=utf16 (memory (core memory $libc "memory"))))
    (core module $m
      (import "" "take" (func $take (param i32 i32)))
      (func (export "run") (call $take (i32.const 0) (i32.const 4))))
    (core instance $m (instantiate $m (with "" (instance (export "take" (func $take))))))
    (func (export "run") (canon lift (core func $m "run"))))
  (component $to
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
      (func (export "take") (param i32 i32)))
    (core instance $m (instantiate $m))
    (func (export "take") (param "s" string)
      (canon lift (core func $m "take") string-encoding=utf16
        (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
  (instance $to (instantiate $to))
  (instance $from (instantiate $from (with "take" (func $to "take"))))
  (export "run" (func $from "run")))
