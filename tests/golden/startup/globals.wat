;;! emit = "clif"
;;! function = "-wasm-call"
;;! names = "symbols"
;;! alone = "yes"
;; What starts with a global of the host is known at instantiation; sums of constants are known
;; before.
(module
  (import "host" "base" (global $base i32))
  (global $known (mut i32) (i32.add (i32.const 40) (i32.const 2)))
  (global $sum (mut i32) (i32.add (global.get $base) (i32.const 1)))
  (func (export "f") (global.set $known (global.get $sum)) (global.set $sum (global.get $known))))
