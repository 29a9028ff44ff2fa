;;! emit = "plan"
;; Functions of `async` types: who calls them, and how they are lifted and lowered; built-ins of the
;; asynchronous part.
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
    (core module $libc (memory (export "memory") 1) (table (export "table") 1 funcref)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8)))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "table" (core table $table))
    (core func $f (canon lower (func $f) async (memory $memory)))
    (core func $return (canon task.return (result string) (memory $memory)))
    (type $s (stream string))
    (core func $read (canon stream.read $s async (memory $memory)
      (realloc (core func $libc "realloc"))))
    (core func $write (canon stream.write $s (memory $memory)))
    (core func $cancel (canon stream.cancel-read $s async))
    (core func $slot (canon context.get i32 1))
    (core type $start (func (param i32)))
    (core func $thread (canon thread.new-indirect $start (core table $table)))
    (core func $later (canon thread.resume-later))
    (core module $m
      (import "" "f" (func $f (param i32 i32) (result i32)))
      (import "" "return" (func (param i32 i32)))
      (import "" "read" (func (param i32 i32 i32) (result i32)))
      (import "" "write" (func (param i32 i32 i32) (result i32)))
      (import "" "cancel" (func (param i32) (result i32)))
      (import "" "slot" (func (result i32)))
      (import "" "thread" (func (param i32 i32) (result i32)))
      (import "" "later" (func (param i32)))
      (func (export "run") (drop (call $f (i32.const 1) (i32.const 16)))))
    (core instance $m (instantiate $m (with "" (instance
      (export "f" (func $f)) (export "return" (func $return)) (export "read" (func $read))
      (export "write" (func $write)) (export "cancel" (func $cancel)) (export "slot" (func $slot))
      (export "thread" (func $thread)) (export "later" (func $later))))))
    (func (export "run") async (result string)
      (canon lift (core func $m "run") async (memory $memory))))
  (instance $back (instantiate $back))
  (instance $front (instantiate $front (with "f" (func $back "f"))))
  (export "run" (func $front "run")))
