;; A component with functions of `async` types, which `docs/async.md` calls.
;;
;; `ask` calls `now` of the host and returns what that said. `hand-over` sends a number through a
;; stream, to itself. `stuck` waits for something that never happens, unless it is cancelled.
(component
  (import "now" (func $now async (result u64)))

  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))

  (type $numbers (stream u32))
  (core func $now (canon lower (func $now) async (memory $memory)))
  (core func $return-u64 (canon task.return (result u64)))
  (core func $return-u32 (canon task.return (result u32)))
  (core func $cancelled (canon task.cancel))
  (core func $set (canon waitable-set.new))
  (core func $join (canon waitable.join))
  (core func $new (canon stream.new $numbers))
  (core func $read (canon stream.read $numbers async (memory $memory)))
  (core func $write (canon stream.write $numbers async (memory $memory)))

  (core module $m
    (import "" "now" (func $now (param i32) (result i32)))
    (import "" "return-u64" (func $return-u64 (param i64)))
    (import "" "return-u32" (func $return-u32 (param i32)))
    (import "" "cancelled" (func $cancelled))
    (import "" "set" (func $set (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "new" (func $new (result i64)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "" "memory" (memory 1))
    (global $reader (mut i32) (i32.const 0))

    (func (export "ask")
      ;; 2 is RETURNED: the host was done at once, and the result is in memory.
      (if (i32.ne (call $now (i32.const 16)) (i32.const 2)) (then (unreachable)))
      (call $return-u64 (i64.load (i32.const 16))))

    ;; Begins to read, then waits (2 is WAIT) until somebody has written.
    (func (export "hand-over") (param $number i32) (result i32)
      (local $ends i64) (local $set i32)
      (local.set $ends (call $new))
      (global.set $reader (i32.wrap_i64 (local.get $ends)))
      (drop (call $read (global.get $reader) (i32.const 32) (i32.const 1)))
      (local.set $set (call $set))
      (call $join (global.get $reader) (local.get $set))
      (i32.store (i32.const 64) (local.get $number))
      (drop (call $write
        (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32)))
        (i32.const 64)
        (i32.const 1)))
      (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
    ;; Called with the event; what was written is where the read wanted it. 0 is EXIT.
    (func (export "handed-over") (param $event i32) (param $end i32) (param $count i32) (result i32)
      (call $return-u32 (i32.load (i32.const 32)))
      (i32.const 0))

    (func (export "stuck") (result i32)
      (i32.or (i32.const 2) (i32.shl (call $set) (i32.const 4))))
    ;; 6 is the event that the call is to be cancelled.
    (func (export "given-up") (param $event i32) (param i32 i32) (result i32)
      (if (i32.ne (local.get $event) (i32.const 6)) (then (unreachable)))
      (call $cancelled)
      (i32.const 0)))
  (core instance $m (instantiate $m (with "" (instance
    (export "now" (func $now))
    (export "return-u64" (func $return-u64))
    (export "return-u32" (func $return-u32))
    (export "cancelled" (func $cancelled))
    (export "set" (func $set))
    (export "join" (func $join))
    (export "new" (func $new))
    (export "read" (func $read))
    (export "write" (func $write))
    (export "memory" (memory $memory))))))

  (func (export "ask") async (result u64) (canon lift (core func $m "ask") async))
  (func (export "hand-over") async (param "number" u32) (result u32)
    (canon lift (core func $m "hand-over") async (callback (core func $m "handed-over"))))
  (func (export "stuck") async
    (canon lift (core func $m "stuck") async (callback (core func $m "given-up")))))
