;;! emit = "clif"
;;! function = "component-trampolines"
;;! names = "symbols"
;; What cannot block, and asks for nothing of its task, is called as in a component without an
;; asynchronous part, whatever its type says: a caller that would go on is told at once that the
;; call has returned. What may block is called as a task, and so is what can be kept from entering.
(component
  (component $library
    (core func $yield (canon thread.yield))
    (core module $m
      (import "" "yield" (func $yield (result i32)))
      (func (export "add") (param i32 i32) (result i32)
        (i32.add (local.get 0) (local.get 1)))
      (func (export "yields") (drop (call $yield))))
    (core instance $i (instantiate $m (with "" (instance (export "yield" (func $yield))))))
    (func (export "add") async (param "a" u32) (param "b" u32) (result u32)
      (canon lift (core func $i "add"))))
  (component $other
    (core func $inc (canon backpressure.inc))
    (core module $m
      (import "" "inc" (func $inc))
      (func (export "add") (param i32 i32) (result i32)
        (i32.add (local.get 0) (local.get 1)))
      (func (export "refuse") (call $inc)))
    (core instance $i (instantiate $m (with "" (instance (export "inc" (func $inc))))))
    (func (export "add") async (param "a" u32) (param "b" u32) (result u32)
      (canon lift (core func $i "add"))))
  (instance $library (instantiate $library))
  (instance $other (instantiate $other))
  (component $app
    (import "add" (func $add async (param "a" u32) (param "b" u32) (result u32)))
    (import "gated" (func $gated async (param "a" u32) (param "b" u32) (result u32)))
    (core module $memory (memory (export "memory") 1))
    (core instance $memory (instantiate $memory))
    (core func $goes-on (canon lower (func $add) async (memory (core memory $memory "memory"))))
    (core func $waits (canon lower (func $add)))
    (core func $gated (canon lower (func $gated)))
    (core module $m
      (import "" "goes-on" (func $goes-on (param i32 i32 i32) (result i32)))
      (import "" "waits" (func $waits (param i32 i32) (result i32)))
      (import "" "gated" (func $gated (param i32 i32) (result i32)))
      (func (export "run") (result i32)
        (drop (call $goes-on (i32.const 1) (i32.const 2) (i32.const 8)))
        (drop (call $gated (i32.const 1) (i32.const 2)))
        (call $waits (i32.const 1) (i32.const 2))))
    (core instance $i (instantiate $m (with "" (instance
      (export "goes-on" (func $goes-on)) (export "waits" (func $waits))
      (export "gated" (func $gated))))))
    (func (export "run") async (result u32) (canon lift (core func $i "run"))))
  (instance $app (instantiate $app
    (with "add" (func $library "add")) (with "gated" (func $other "add"))))
  (export "add" (func $library "add"))
  (export "run" (func $app "run")))
