;;! emit = "clif"
;;! function = "startup[0]-wasm-call"
;;! names = "symbols"
;; What cannot fit traps; nothing after it happens.
(component
  (core module $m (memory 0) (data (i32.const 0) "x") (func $s) (start $s))
  (core instance (instantiate $m)))
