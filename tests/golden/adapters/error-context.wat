;;! emit = "clif"
;;! function = "adapter"
;;! names = "symbols"
;;! covers = "builtin-error-context-share"
;; An error context gets a handle of its own in the callee's table, and one more reference.
(component
  (component $to
    (core module $m (func (export "take") (param i32)))
    (core instance $m (instantiate $m))
    (func (export "take") (param "e" error-context) (canon lift (core func $m "take"))))
  (component $from
    (import "take" (func $take (param "e" error-context)))
    (core func $take (canon lower (func $take)))
    (core module $m
      (import "" "take" (func $take (param i32)))
      (func (export "run") (call $take (i32.const 1))))
    (core instance $m (instantiate $m (with "" (instance (export "take" (func $take))))))
    (func (export "run") (canon lift (core func $m "run"))))
  (instance $to (instantiate $to))
  (instance $from (instantiate $from (with "take" (func $to "take"))))
  (export "run" (func $from "run")))
