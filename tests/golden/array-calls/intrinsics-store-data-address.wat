;;! emit = "array-calls"
;;! function = "unsafe-intrinsics-array-call"
;;! names = "symbols"
;;! unsafe-intrinsics = "host"
;;! covers = "unsafe-intrinsics-array-call-store-data-address"
;; Intrinsics, called with an array.
(component
  (import "host" (instance $host
    (export "store-data-address" (func (result u64)))))
  (core func $address (canon lower (func $host "store-data-address")))
  (core module $m
    (import "" "address" (func $address (result i64)))
    (func (export "run") (result i64) (call $address)))
  (core instance $m (instantiate $m (with "" (instance (export "address" (func $address))))))
  (func (export "run") (result u64) (canon lift (core func $m "run"))))
