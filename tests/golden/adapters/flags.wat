;;! emit = "clif"
;;! function = "adapter"
;;! names = "symbols"
;;! covers = "builtin-bits-mask"
;; Flags lose the bits that are no labels, alone and in a list; nothing traps.
(component
  (component $to
    (type $f' (flags "a" "b" "c"))
    (export $f "f" (type $f'))
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
      (func (export "take") (param i32 i32 i32)))
    (core instance $m (instantiate $m))
    (func (export "take") (param "one" $f) (param "list" (list $f))
      (canon lift (core func $m "take")
        (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
  (component $from
    (type $f' (flags "a" "b" "c"))
    (import "f" (type $f (eq $f')))
    (import "take" (func $take (param "one" $f) (param "list" (list $f))))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $take (canon lower (func $take) (memory (core memory $libc "memory"))))
    (core module $m
      (import "" "take" (func $take (param i32 i32 i32)))
      (func (export "run") (call $take (i32.const 255) (i32.const 0) (i32.const 4))))
    (core instance $m (instantiate $m (with "" (instance (export "take" (func $take))))))
    (func (export "run") (canon lift (core func $m "run"))))
  (instance $to (instantiate $to))
  (instance $from (instantiate $from (with "take" (func $to "take")) (with "f" (type $to "f"))))
  (export "run" (func $from "run")))
