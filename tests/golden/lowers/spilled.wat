;;! emit = "clif"
;;! function = "lower-import"
;;! names = "symbols"
;; Numbers in memory are read by the host where they are: only the range and alignment are checked.
(component
  (import "f" (func $f
    (param "a" (tuple u8 u64 u64 u64 u64 u64 u64 u64 u64))
    (param "b" (tuple u64 u64 u64 u64 u64 u64 u64 u64))))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $f (canon lower (func $f) (memory (core memory $libc "memory"))))
  (core module $m
    (import "" "f" (func $f (param i32)))
    (func (export "run") (call $f (i32.const 8))))
  (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func (export "run") (canon lift (core func $m "run"))))
