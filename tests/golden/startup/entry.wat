;;! emit = "clif"
;;! function = "startup"
;;! names = "symbols"
;;! covers = "startup-wasm-call, startup-native-call"
;; A start function runs at instantiation.
(component
  (core module $m (func $s) (start $s))
  (core instance (instantiate $m)))
