;;! emit = "plan"
;;! alone = "yes"
;; A core module on its own: what the host supplies and what it can reach.
(module
  (import "host" "log" (func $log (param i32)))
  (import "host" "base" (global $base i32))
  (memory (export "memory") 1)
  (table 1 1 funcref)
  (elem (i32.const 0) $log)
  (data (i32.const 8) "text")
  (func (export "run") (call_indirect (param i32) (global.get $base) (i32.const 0))))
