;; A component that calls what it lifts itself, in one memory: `realloc` returns memory that overlaps
;; the string that is passed.
(component
  (core module $Inner
    (memory (export "memory") 1)
    (data (i32.const 16) "a\00b\00c\00\e9\00d\00")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 17))
    (func (export "f") (param $p i32) (param $n i32) (result i32)
      (if (i32.ne (local.get $n) (i32.const 6)) (then unreachable))
      (if (i32.ne (i32.load (local.get $p)) (i32.const 0xc3636261)) (then unreachable))
      (if (i32.ne (i32.load16_u offset=4 (local.get $p)) (i32.const 0x64a9)) (then unreachable))
      (i32.const 42)))
  (core instance $inner (instantiate $Inner))
  (func $f (param "s" string) (result u32)
    (canon lift (core func $inner "f") (memory (core memory $inner "memory"))
      (realloc (core func $inner "realloc"))))
  (core func $f (canon lower (func $f) (memory (core memory $inner "memory"))
    string-encoding=utf16))
  (core module $Outer
    (import "" "f" (func $f (param i32 i32) (result i32)))
    (func (export "run") (result i32) (call $f (i32.const 16) (i32.const 5))))
  (core instance $outer (instantiate $Outer (with "" (instance (export "f" (func $f))))))
  (func (export "run") (result u32) (canon lift (core func $outer "run")))
)
