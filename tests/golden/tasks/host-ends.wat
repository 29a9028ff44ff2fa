;;! emit = "clif"
;;! function = "lower-import"
;;! function = "element-copy[0]-wasm"
;;! function = "element-copy[1]-wasm"
;;! names = "symbols"
;;! covers = "builtin-end-to-host, builtin-end-from-host"
;; A readable end leaves the guest's table for a place in the store, and comes from there. Elements
;; that are more than bits move from and to native memory by code of their own.
(component
  (type $s (stream string))
  (import "swap" (func $swap async (param "s" $s) (result $s)))
  (core module $memory
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $memory (instantiate $memory))
  (core func $swap (canon lower (func $swap)))
  (core func $read
    (canon stream.read $s (memory (core memory $memory "memory"))
      (realloc (core func $memory "realloc"))))
  (core func $write
    (canon stream.write $s (memory (core memory $memory "memory"))
      (realloc (core func $memory "realloc"))))
  (core module $m
    (import "" "swap" (func $swap (param i32) (result i32)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "write" (func $write (param i32 i32 i32) (result i32)))
    (func (export "run")
      (drop (call $read (call $swap (i32.const 1)) (i32.const 0) (i32.const 1)))
      (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1)))))
  (core instance $m (instantiate $m (with "" (instance
    (export "swap" (func $swap)) (export "read" (func $read)) (export "write" (func $write))))))
  (func (export "run") async (canon lift (core func $m "run") async)))
