;; Without the option such an import is an ordinary one of the host.
(component
  (import "host" (instance $host (export "u8-native-load" (func (param "address" u64) (result u8)))))
  (core func $f (canon lower (func $host "u8-native-load")))
  (core module $m (import "" "f" (func $f (param i64) (result i32)))
    (func (export "run") (drop (call $f (i64.const 0)))))
  (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func (export "run") (canon lift (core func $m "run"))))
