;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;;! alone = "yes"
;; A shared memory and a global of the host.
(module
  (import "host" "memory" (memory 1 2 shared))
  (import "host" "base" (global $base i32))
  (func (export "f") (result i32) (i32.load (global.get $base))))
