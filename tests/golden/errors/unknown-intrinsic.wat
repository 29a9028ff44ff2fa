;;! unsafe-intrinsics = "host"
;; A misspelt intrinsic is named.
(component
  (import "host" (instance (export "u9-native-load" (func (param "address" u64) (result u8))))))
