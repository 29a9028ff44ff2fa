;;! emit = "clif"
;;! function = "shared-transfer[0]"
;;! names = "symbols"
;;! covers = "shared-transfer"
;; A type that names another twice, ten times over, has a thousand parts: code for each name of it is
;; a call of the code for what it names.
(component
  (component $to
    (type $t0 u8)
    (type $t1 (tuple $t0 $t0))
    (type $t2 (tuple $t1 $t1))
    (type $t3 (tuple $t2 $t2))
    (type $t4 (tuple $t3 $t3))
    (type $t5 (tuple $t4 $t4))
    (type $t6 (tuple $t5 $t5))
    (type $t7 (tuple $t6 $t6))
    (type $t8 (tuple $t7 $t7))
    (type $t9 (tuple $t8 $t8))
    (type $t10 (tuple $t9 $t9))
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
      (func (export "take") (param i32)))
    (core instance $m (instantiate $m))
    (func (export "take") (param "all" $t10)
      (canon lift (core func $m "take")
        (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
  (instance $to (instantiate $to))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $take (canon lower (func $to "take") (memory (core memory $libc "memory"))))
  (core module $m
    (import "" "take" (func $take (param i32)))
    (func (export "run") (call $take (i32.const 0))))
  (core instance $m (instantiate $m (with "" (instance (export "take" (func $take))))))
  (func (export "run") (canon lift (core func $m "run"))))
