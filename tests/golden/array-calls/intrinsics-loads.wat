;;! emit = "array-calls"
;;! function = "unsafe-intrinsics-array-call"
;;! names = "symbols"
;;! unsafe-intrinsics = "host"
;;! covers = "unsafe-intrinsics-array-call-u8-native-load"
;;! covers = "unsafe-intrinsics-array-call-u16-native-load"
;;! covers = "unsafe-intrinsics-array-call-u32-native-load"
;;! covers = "unsafe-intrinsics-array-call-u64-native-load"
;; Intrinsics, called with an array.
(component
  (import "host" (instance $host
    (export "u8-native-load" (func (param "address" u64) (result u8)))
    (export "u16-native-load" (func (param "address" u64) (result u16)))
    (export "u32-native-load" (func (param "address" u64) (result u32)))
    (export "u64-native-load" (func (param "address" u64) (result u64)))))
  (core func $u8 (canon lower (func $host "u8-native-load")))
  (core func $u16 (canon lower (func $host "u16-native-load")))
  (core func $u32 (canon lower (func $host "u32-native-load")))
  (core func $u64 (canon lower (func $host "u64-native-load")))
  (core module $m
    (import "" "u8" (func $u8 (param i64) (result i32)))
    (import "" "u16" (func $u16 (param i64) (result i32)))
    (import "" "u32" (func $u32 (param i64) (result i32)))
    (import "" "u64" (func $u64 (param i64) (result i64)))
    (func (export "run")
      (drop (call $u8 (i64.const 64)))
      (drop (call $u16 (i64.const 64)))
      (drop (call $u32 (i64.const 64)))
      (drop (call $u64 (i64.const 64)))))
  (core instance $m (instantiate $m (with "" (instance
    (export "u8" (func $u8))
    (export "u16" (func $u16))
    (export "u32" (func $u32))
    (export "u64" (func $u64))))))
  (func (export "run") (canon lift (core func $m "run"))))
