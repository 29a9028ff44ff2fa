;;! emit = "plan"
;; How each function of an `async` type is called: plainly, if nothing that it calls can block, no
;; task can be kept from entering its instance, and nobody asks for its task; else as a task, in
;; place if it cannot block.
(component
  (import "host" (func $host async))

  ;; Nothing can block here.
  (component $calm
    (import "host" (func $host async))
    (core module $memory (memory (export "memory") 1))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $mem))
    (core func $host' (canon lower (func $host) async (memory $mem)))
    (core func $return (canon task.return))
    (core func $poll (canon waitable-set.poll (memory $mem)))
    (core module $m
      (import "" "host" (func $host (result i32)))
      (import "" "return" (func $return))
      (import "" "poll" (func $poll (param i32 i32) (result i32)))
      (table $t 2 funcref)
      (elem (i32.const 0) func $nothing $goes-on)
      (func $nothing (export "nothing"))
      (func $goes-on (export "goes-on") (drop (call $host)))
      (func (export "polls") (drop (call $poll (i32.const 1) (i32.const 0))))
      (func (export "through-table") (call_indirect $t (i32.const 0)))
      (func (export "callback") (result i32) (call $return) (i32.const 0))
      (func (export "cb") (param i32 i32 i32) (result i32) (i32.const 0))
      (func (export "stackful") (call $return)))
    (core instance $i (instantiate $m (with "" (instance
      (export "host" (func $host')) (export "return" (func $return))
      (export "poll" (func $poll))))))
    (func (export "nothing") async (canon lift (core func $i "nothing")))
    (func (export "goes-on") async (canon lift (core func $i "goes-on")))
    (func (export "polls") async (canon lift (core func $i "polls")))
    (func (export "through-table") async (canon lift (core func $i "through-table")))
    (func (export "callback") async
      (canon lift (core func $i "callback") async (callback (core func $i "cb"))))
    (func (export "stackful") async (canon lift (core func $i "stackful") async)))

  ;; One of its functions waits for the host, through a table.
  (component $waits
    (import "host" (func $host async))
    (core func $host' (canon lower (func $host)))
    (core func $return (canon task.return))
    (core module $m
      (import "" "host" (func $host))
      (import "" "return" (func $return))
      (table $t 2 funcref)
      (elem (i32.const 0) func $nothing $waits)
      (func $nothing (export "nothing"))
      (func $waits (export "waits") (call $host))
      (func (export "through-table") (call_indirect $t (i32.const 0)))
      (func (export "callback") (result i32) (call $return) (i32.const 0))
      (func (export "cb") (param i32 i32 i32) (result i32) (call $host) (i32.const 0)))
    (core instance $i (instantiate $m (with "" (instance
      (export "host" (func $host')) (export "return" (func $return))))))
    ;; While another one waits, it cannot be entered.
    (func (export "nothing") async (canon lift (core func $i "nothing")))
    (func (export "waits") async (canon lift (core func $i "waits")))
    (func (export "through-table") async (canon lift (core func $i "through-table")))
    (func (export "callback") async
      (canon lift (core func $i "callback") async (callback (core func $i "cb")))))

  ;; It refuses to be entered at times.
  (component $refuses
    (core func $inc (canon backpressure.inc))
    (core func $dec (canon backpressure.dec))
    (core module $m
      (import "" "inc" (func $inc))
      (import "" "dec" (func $dec))
      (func (export "nothing") (call $inc) (call $dec)))
    (core instance $i (instantiate $m (with "" (instance
      (export "inc" (func $inc)) (export "dec" (func $dec))))))
    (func (export "nothing") async (canon lift (core func $i "nothing"))))

  (instance $calm (instantiate $calm (with "host" (func $host))))
  (instance $waits (instantiate $waits (with "host" (func $host))))
  (instance $refuses (instantiate $refuses))

  ;; Who waits for others waits as long as they do.
  (component $calls-one
    (import "f" (func $f async))
    (core func $f' (canon lower (func $f)))
    (core module $m (import "" "f" (func $f)) (func (export "f") (call $f)))
    (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
    (func (export "f") async (canon lift (core func $i "f"))))
  (instance $plain-caller (instantiate $calls-one (with "f" (func $calm "nothing"))))
  (instance $callback-caller (instantiate $calls-one (with "f" (func $calm "callback"))))
  (instance $gated-caller (instantiate $calls-one (with "f" (func $refuses "nothing"))))
  (export "calm" (instance $calm))
  (export "waits" (instance $waits))
  (export "refuses" (instance $refuses))
  (export "plain-caller" (instance $plain-caller))
  (export "callback-caller" (instance $callback-caller))
  (export "gated-caller" (instance $gated-caller)))
