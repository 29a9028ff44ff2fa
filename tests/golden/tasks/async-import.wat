;;! emit = "clif"
;;! function = "lower-import"
;;! names = "symbols"
;;! covers = "builtin-host-call-wait, builtin-host-call-go-on"
;; A function of the host's with an `async` type. If it is done when it returns, a caller that would
;; go on is told so, and finds the result in its memory. If not, that caller gets a subtask, and one
;; that waits goes on when the native result is there.
(component
  (import "f" (func $f async (param "x" u32) (result u64)))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $waits (canon lower (func $f)))
  (core func $goes-on (canon lower (func $f) async (memory (core memory $libc "memory"))))
  (core module $m
    (import "" "waits" (func $waits (param i32) (result i64)))
    (import "" "goes-on" (func $goes-on (param i32 i32) (result i32)))
    (func (export "run")
      (drop (call $waits (i32.const 1)))
      (drop (call $goes-on (i32.const 1) (i32.const 16)))))
  (core instance $m (instantiate $m (with "" (instance
    (export "waits" (func $waits)) (export "goes-on" (func $goes-on))))))
  (func (export "run") async (canon lift (core func $m "run"))))
