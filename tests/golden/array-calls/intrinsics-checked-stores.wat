;;! emit = "array-calls"
;;! function = "unsafe-intrinsics-array-call"
;;! names = "symbols"
;;! unsafe-intrinsics = "host"
;;! covers = "unsafe-intrinsics-array-call-u8-checked-native-store"
;;! covers = "unsafe-intrinsics-array-call-u16-checked-native-store"
;;! covers = "unsafe-intrinsics-array-call-u32-checked-native-store"
;;! covers = "unsafe-intrinsics-array-call-u64-checked-native-store"
;; Intrinsics, called with an array.
(component
  (import "host" (instance $host
    (export "u8-checked-native-store" (func (param "base" u64) (param "offset" u64) (param "length" u64) (param "value" u8)))
    (export "u16-checked-native-store" (func (param "base" u64) (param "offset" u64) (param "length" u64) (param "value" u16)))
    (export "u32-checked-native-store" (func (param "base" u64) (param "offset" u64) (param "length" u64) (param "value" u32)))
    (export "u64-checked-native-store" (func (param "base" u64) (param "offset" u64) (param "length" u64) (param "value" u64)))))
  (core func $u8 (canon lower (func $host "u8-checked-native-store")))
  (core func $u16 (canon lower (func $host "u16-checked-native-store")))
  (core func $u32 (canon lower (func $host "u32-checked-native-store")))
  (core func $u64 (canon lower (func $host "u64-checked-native-store")))
  (core module $m
    (import "" "u8" (func $u8 (param i64 i64 i64 i32)))
    (import "" "u16" (func $u16 (param i64 i64 i64 i32)))
    (import "" "u32" (func $u32 (param i64 i64 i64 i32)))
    (import "" "u64" (func $u64 (param i64 i64 i64 i64)))
    (func (export "run")
      (call $u8 (i64.const 64) (i64.const 8) (i64.const 16) (i32.const 7))
      (call $u16 (i64.const 64) (i64.const 8) (i64.const 16) (i32.const 7))
      (call $u32 (i64.const 64) (i64.const 8) (i64.const 16) (i32.const 7))
      (call $u64 (i64.const 64) (i64.const 8) (i64.const 16) (i64.const 7))))
  (core instance $m (instantiate $m (with "" (instance
    (export "u8" (func $u8))
    (export "u16" (func $u16))
    (export "u32" (func $u32))
    (export "u64" (func $u64))))))
  (func (export "run") (canon lift (core func $m "run"))))
