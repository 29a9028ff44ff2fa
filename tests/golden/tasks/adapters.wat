;;! emit = "clif"
;;! function = "adapter"
;;! function = "task-result[2]"
;;! names = "symbols"
;;! covers = "builtin-task-call"
;; One function, called by a caller that waits and by one that goes on, which gets the result in its
;; memory.
(component
  (component $back
    (core module $m
      (func (export "f") (param i32) (result i32) (i32.const 0))
      (func (export "back") (param i32 i32 i32) (result i32) (i32.const 0)))
    (core instance $m (instantiate $m))
    (func (export "f") async (param "x" u32) (result u64)
      (canon lift (core func $m "f") async (callback (core func $m "back")))))
  (component $front
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
  (instance $back (instantiate $back))
  (instance $front (instantiate $front (with "f" (func $back "f"))))
  (export "run" (func $front "run")))
