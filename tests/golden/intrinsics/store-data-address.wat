;;! emit = "clif"
;;! function = "unsafe-intrinsics"
;;! names = "symbols"
;;! unsafe-intrinsics = "host"
;;! covers = "unsafe-intrinsics-wasm-call-store-data-address"
;; Where the store's host data are.
(component
  (import "host" (instance $host
    (export "store-data-address" (func (result u64)))))
  (core func $address (canon lower (func $host "store-data-address")))
  (core module $m
    (import "" "address" (func $address (result i64)))
    (func (export "run") (result i64) (call $address)))
  (core instance $m (instantiate $m (with "" (instance (export "address" (func $address))))))
  (func (export "run") (result u64) (canon lift (core func $m "run"))))
