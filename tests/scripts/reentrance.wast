;; Component instances that are called again while they wait for a call of theirs.

;; Three siblings in a circle, each with its own string encoding, pass a string around and back. Each call
;; grows its memory, and finds its own bytes where it left them.
(component definition $circle
  (core module $Switch
    (type $f (func (param i32 i32 i32 i32)))
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 16))
    (table (export "table") 1 funcref)
    (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (if (i32.gt_u (i32.add (global.get $next) (local.get 3))
                    (i32.shl (memory.size) (i32.const 16)))
        (then (drop (memory.grow (i32.const 1)))))
      (memory.copy (global.get $next) (local.get 0) (local.get 1))
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get 3))))
    (func (export "to-a") (param i32 i32 i32) (result i32) (local $result i32)
      (local.set $result (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 8)))
      (call_indirect (type $f) (local.get 0) (local.get 1) (local.get 2) (local.get $result)
        (i32.const 0))
      (local.get $result)))
  (core instance $switch (instantiate $Switch))
  (func $to-a (param "n" u32) (param "s" string) (result string)
    (canon lift (core func $switch "to-a") (memory (core memory $switch "memory"))
      (realloc (core func $switch "realloc"))))

  ;; Units of a character: 1 or 2 bytes.
  (core module $M
    (import "" "to" (func $to (param i32 i32 i32 i32)))
    (import "" "memory" (memory 1))
    (import "" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    ;; Appends nothing: passes the string on, and what comes back.
    (func (export "f") (param $n i32) (param $p i32) (param $units i32) (result i32)
      (local $result i32) (local $mark i32)
      (drop (memory.grow (i32.const 1)))
      (local.set $result (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 8)))
      (local.set $mark (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 8)))
      (i64.store (local.get $mark) (i64.mul (i64.extend_i32_u (local.get $mark)) (i64.const 0x123456789)))
      (if (local.get $n)
        (then
          (call $to (i32.sub (local.get $n) (i32.const 1)) (local.get $p) (local.get $units)
            (local.get $result)))
        (else
          (i32.store (local.get $result) (local.get $p))
          (i32.store offset=4 (local.get $result) (local.get $units))))
      (if (i64.ne (i64.load (local.get $mark))
            (i64.mul (i64.extend_i32_u (local.get $mark)) (i64.const 0x123456789)))
        (then unreachable))
      (local.get $result)))
  (core module $Memory
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 16))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (if (i32.gt_u (i32.add (global.get $next) (local.get 3))
                    (i32.shl (memory.size) (i32.const 16)))
        (then (drop (memory.grow (i32.const 1)))))
      (memory.copy (global.get $next) (local.get 0) (local.get 1))
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get 3)))))

  (component $C
    (alias outer $circle $M (core module $M))
    (alias outer $circle $Memory (core module $Memory))
    (import "to" (func $to (param "n" u32) (param "s" string) (result string)))
    (core instance $memory (instantiate $Memory))
    (core func $to (canon lower (func $to) string-encoding=utf16
      (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
    (core instance $m (instantiate $M (with "" (instance
      (export "to" (func $to)) (export "memory" (memory $memory "memory"))
      (export "realloc" (func $memory "realloc"))))))
    (func (export "f") (param "n" u32) (param "s" string) (result string)
      (canon lift (core func $m "f") string-encoding=utf16
        (memory (core memory $memory "memory")) (realloc (core func $memory "realloc")))))
  (instance $c (instantiate $C (with "to" (func $to-a))))
  (component $B
    (alias outer $circle $M (core module $M))
    (alias outer $circle $Memory (core module $Memory))
    (import "to" (func $to (param "n" u32) (param "s" string) (result string)))
    (core instance $memory (instantiate $Memory))
    (core func $to (canon lower (func $to) string-encoding=latin1+utf16
      (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
    (core instance $m (instantiate $M (with "" (instance
      (export "to" (func $to)) (export "memory" (memory $memory "memory"))
      (export "realloc" (func $memory "realloc"))))))
    (func (export "f") (param "n" u32) (param "s" string) (result string)
      (canon lift (core func $m "f") string-encoding=latin1+utf16
        (memory (core memory $memory "memory")) (realloc (core func $memory "realloc")))))
  (instance $b (instantiate $B (with "to" (func $c "f"))))
  (component $A
    (alias outer $circle $M (core module $M))
    (alias outer $circle $Memory (core module $Memory))
    (import "to" (func $to (param "n" u32) (param "s" string) (result string)))
    (core instance $memory (instantiate $Memory))
    (core func $to (canon lower (func $to)
      (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
    (core instance $m (instantiate $M (with "" (instance
      (export "to" (func $to)) (export "memory" (memory $memory "memory"))
      (export "realloc" (func $memory "realloc"))))))
    (func (export "f") (param "n" u32) (param "s" string) (result string)
      (canon lift (core func $m "f")
        (memory (core memory $memory "memory")) (realloc (core func $memory "realloc")))))
  (instance $a (instantiate $A (with "to" (func $b "f"))))

  (core func $a-f (canon lower (func $a "f") (memory (core memory $switch "memory"))
    (realloc (core func $switch "realloc"))))
  (core module $Fill
    (import "" "table" (table 1 funcref))
    (import "" "f" (func $f (param i32 i32 i32 i32)))
    (elem (i32.const 0) $f))
  (core instance (instantiate $Fill (with "" (instance
    (export "table" (table $switch "table")) (export "f" (func $a-f))))))
  (export "a" (func $a "f"))
  (export "c" (func $c "f"))
)
(component instance $i $circle)
(assert_return (invoke "a" (u32.const 0) (str.const "x")) (str.const "x"))
(assert_return (invoke "a" (u32.const 2) (str.const "été, ete")) (str.const "été, ete"))
(assert_return (invoke "a" (u32.const 60) (str.const "gr\u{fc}\u{df}e \u{20ac} \u{1f600}"))
  (str.const "gr\u{fc}\u{df}e \u{20ac} \u{1f600}"))
(assert_return (invoke "c" (u32.const 61) (str.const "")) (str.const ""))
;; There is an end: a trap, not a crash. What has trapped cannot be entered.
(assert_trap (invoke "c" (u32.const 4000000000) (str.const "around and around"))
  "call stack exhausted")
(assert_trap (invoke "a" (u32.const 0) (str.const "x")) "cannot enter component instance")

;; `realloc` and post-return functions of an instance that is called back cannot leave it; who waits can
;; afterwards. The mode says which of them tries, at which depth: 1 `realloc` of the inner call, 2 its
;; post-return, 3 nothing; and then the outer call leaves again.
(component definition $leaving
  (core module $Switch
    (type $f (func (param i32) (result i32)))
    (table (export "table") 1 funcref)
    (func (export "back") (param i32) (result i32)
      (call_indirect (type $f) (local.get 0) (i32.const 0))))
  (core instance $switch (instantiate $Switch))
  (func $back (param "mode" u32) (result u32) (canon lift (core func $switch "back")))

  (component $B
    (import "back" (func $back (param "mode" u32) (result u32)))
    (core func $back (canon lower (func $back)))
    (core module $m
      (import "" "back" (func $back (param i32) (result i32)))
      (memory (export "memory") 1)
      (global $leave (mut i32) (i32.const 0))
      (global $returned (mut i32) (i32.const 0))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (if (i32.eq (global.get $leave) (i32.const 1))
          (then (drop (call $back (i32.const 0)))))
        (i32.const 64))
      (func (export "f") (param $mode i32) (param $p i32) (param $n i32) (result i32)
        (if (i32.ge_u (local.get $mode) (i32.const 100)) (then (return (i32.const 42))))
        (global.set $leave (local.get $mode))
        (drop (call $back (i32.add (local.get $mode) (i32.const 100))))
        (global.set $leave (i32.const 0))
        ;; The inner call's post-return has run, this one's has not.
        (if (i32.ne (global.get $returned) (i32.const 1)) (then unreachable))
        (call $back (i32.const 0)))
      (func (export "post") (param i32)
        (global.set $returned (i32.add (global.get $returned) (i32.const 1)))
        (if (i32.eq (global.get $leave) (i32.const 2))
          (then (drop (call $back (i32.const 0)))))))
    (core instance $m (instantiate $m (with "" (instance (export "back" (func $back))))))
    (func (export "f") (param "mode" u32) (param "s" string) (result u32)
      (canon lift (core func $m "f") (memory (core memory $m "memory"))
        (realloc (core func $m "realloc")) (post-return (core func $m "post")))))
  (instance $b (instantiate $B (with "back" (func $back))))

  (component $A
    (import "f" (func $f (param "mode" u32) (param "s" string) (result u32)))
    (core module $Memory (memory (export "memory") 1) (data (i32.const 8) "abc"))
    (core instance $memory (instantiate $Memory))
    (core func $f (canon lower (func $f) (memory (core memory $memory "memory"))))
    (core module $m
      (import "" "f" (func $f (param i32 i32 i32) (result i32)))
      (func (export "run") (param $mode i32) (result i32)
        (if (i32.eqz (local.get $mode)) (then (return (i32.const 42))))
        (call $f (local.get $mode) (i32.const 8) (i32.const 3))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") (param "mode" u32) (result u32) (canon lift (core func $m "run"))))
  (instance $a (instantiate $A (with "f" (func $b "f"))))

  (core func $a-run (canon lower (func $a "run")))
  (core module $Fill
    (import "" "table" (table 1 funcref))
    (import "" "f" (func $f (param i32) (result i32)))
    (elem (i32.const 0) $f))
  (core instance (instantiate $Fill (with "" (instance
    (export "table" (table $switch "table")) (export "f" (func $a-run))))))
  (export "run" (func $a "run"))
)
(component instance $i $leaving)
(assert_return (invoke "run" (u32.const 3)) (u32.const 42))
(component instance $i $leaving)
(assert_trap (invoke "run" (u32.const 1)) "cannot leave component instance")
(component instance $i $leaving)
(assert_trap (invoke "run" (u32.const 2)) "cannot leave component instance")

;; A destructor runs in an instance that waits for the call which drops its resource. Its handle is gone
;; before: 0 the destructor looks at it in vain, 1 its index is given to the next one, 2 the destructor calls
;; back who dropped it, which drops another one, and so on; 3 it traps.
(component definition $destructors
  (core module $Switch
    (type $f (func (param i32)))
    (table (export "table") 2 funcref)
    (func (export "dtor") (param i32) (call_indirect (type $f) (local.get 0) (i32.const 0)))
    (func (export "again") (param i32) (call_indirect (type $f) (local.get 0) (i32.const 1))))
  (core instance $switch (instantiate $Switch))
  (type $R (resource (rep i32) (dtor (core func $switch "dtor"))))
  (core func $new (canon resource.new $R))
  (core func $rep (canon resource.rep $R))
  (core func $drop (canon resource.drop $R))

  (component $B
    (import "r" (type $R (sub resource)))
    (core func $drop (canon resource.drop $R))
    (core module $m
      (import "" "drop" (func $drop (param i32)))
      (global $active (mut i32) (i32.const 0))
      (global $most (mut i32) (i32.const 0))
      (func (export "drop-it") (param i32)
        (global.set $active (i32.add (global.get $active) (i32.const 1)))
        (if (i32.gt_u (global.get $active) (global.get $most))
          (then (global.set $most (global.get $active))))
        (call $drop (local.get 0))
        (global.set $active (i32.sub (global.get $active) (i32.const 1))))
      (func (export "most") (result i32) (global.get $most)))
    (core instance $m (instantiate $m (with "" (instance (export "drop" (func $drop))))))
    (func (export "drop-it") (param "r" (own $R)) (canon lift (core func $m "drop-it")))
    (func (export "most") (result u32) (canon lift (core func $m "most"))))
  (instance $b (instantiate $B (with "r" (type $R))))
  (core func $drop-it (canon lower (func $b "drop-it")))

  (core module $Outer
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "rep" (func $rep (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "drop-it" (func $drop-it (param i32)))
    (import "" "again" (func $again (param i32)))
    (import "" "table" (table 2 funcref))
    (global $mode (mut i32) (i32.const 0))
    (global $handle (mut i32) (i32.const 0))
    (global $sum (mut i32) (i32.const 0))
    (func $dtor (param $rep i32)
      (global.set $sum (i32.add (global.get $sum) (local.get $rep)))
      (if (i32.eqz (global.get $mode)) (then (drop (call $rep (global.get $handle)))))
      (if (i32.eq (global.get $mode) (i32.const 1)) (then
        (if (i32.ne (call $new (i32.const 1000)) (global.get $handle)) (then unreachable))
        (if (i32.ne (call $rep (global.get $handle)) (i32.const 1000)) (then unreachable))))
      (if (i32.eq (global.get $mode) (i32.const 2)) (then
        (if (i32.gt_u (local.get $rep) (i32.const 1))
          (then (call $again (i32.sub (local.get $rep) (i32.const 1)))))))
      (if (i32.eq (global.get $mode) (i32.const 3)) (then unreachable)))
    (func $dropping (param $rep i32)
      (call $drop-it (call $new (local.get $rep))))
    (elem (i32.const 0) $dtor $dropping)
    (func (export "run") (param $mode i32) (param $rep i32) (result i32)
      (global.set $mode (local.get $mode))
      (global.set $sum (i32.const 0))
      (global.set $handle (call $new (local.get $rep)))
      (call $drop-it (global.get $handle))
      (if (i32.eq (local.get $mode) (i32.const 1)) (then
        (if (i32.ne (call $rep (global.get $handle)) (i32.const 1000)) (then unreachable))
        (global.set $mode (i32.const 4))
        (call $drop (global.get $handle))))
      (global.get $sum)))
  (core instance $outer (instantiate $Outer (with "" (instance
    (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))
    (export "drop-it" (func $drop-it)) (export "again" (func $switch "again"))
    (export "table" (table $switch "table"))))))
  (func (export "run") (param "mode" u32) (param "rep" u32) (result u32)
    (canon lift (core func $outer "run")))
  (export "most" (func $b "most"))
)
(component instance $i $destructors)
(assert_return (invoke "run" (u32.const 1) (u32.const 7)) (u32.const 1007))
(assert_return (invoke "most") (u32.const 1))
(assert_return (invoke "run" (u32.const 2) (u32.const 10)) (u32.const 55))
(assert_return (invoke "most") (u32.const 10))
(assert_trap (invoke "run" (u32.const 0) (u32.const 5)) "unknown handle index 1")
(assert_trap (invoke "most") "cannot enter component instance")
(component instance $i $destructors)
(assert_trap (invoke "run" (u32.const 3) (u32.const 5)) "wasm `unreachable` instruction executed")
(assert_trap (invoke "most") "cannot enter component instance")
(component instance $i $destructors)
(assert_trap (invoke "run" (u32.const 2) (u32.const 100000000)) "call stack exhausted")

;; Start functions call back into what exists, and trap there where it does not yet.
(component
  (core module $Inner
    (type $f (func (param i32) (result i32)))
    (table (export "table") 1 funcref)
    (global $calls (export "calls") (mut i32) (i32.const 0))
    (func (export "up") (param i32) (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (if (i32.eqz (local.get 0)) (then (return (global.get $calls))))
      (call_indirect (type $f) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))
  (core instance $inner (instantiate $Inner))
  (func $up (param "n" u32) (result u32) (canon lift (core func $inner "up")))
  (component $Child
    (import "up" (func $up (param "n" u32) (result u32)))
    (core func $up (canon lower (func $up)))
    (core module $m
      (import "" "up" (func $up (param i32) (result i32)))
      ;; While the child begins to exist there is no way back into it.
      (func $start (if (i32.ne (call $up (i32.const 0)) (i32.const 1)) (then unreachable)))
      (func (export "down") (param i32) (result i32) (call $up (local.get 0)))
      (start $start))
    (core instance $m (instantiate $m (with "" (instance (export "up" (func $up))))))
    (func (export "down") (param "n" u32) (result u32) (canon lift (core func $m "down"))))
  (instance $child (instantiate $Child (with "up" (func $up))))
  (core func $down (canon lower (func $child "down")))
  (core module $Outer
    (import "" "table" (table 1 funcref))
    (import "" "down" (func $down (param i32) (result i32)))
    (import "" "calls" (global $calls (mut i32)))
    (elem (i32.const 0) $down)
    (global $seen (mut i32) (i32.const 0))
    (func $start (global.set $seen (call $down (i32.const 9))))
    (func (export "seen") (result i32)
      (if (i32.ne (global.get $calls) (global.get $seen)) (then unreachable))
      (global.get $seen))
    (start $start))
  (core instance $outer (instantiate $Outer (with "" (instance
    (export "table" (table $inner "table")) (export "down" (func $down))
    (export "calls" (global $inner "calls"))))))
  (func (export "seen") (result u32) (canon lift (core func $outer "seen")))
)
(assert_return (invoke "seen") (u32.const 11))

(assert_trap
  (component
    (core module $Inner
      (type $f (func (param i32) (result i32)))
      (table (export "table") 1 funcref)
      (func (export "up") (param i32) (result i32)
        (call_indirect (type $f) (local.get 0) (i32.const 0))))
    (core instance $inner (instantiate $Inner))
    (func $up (param "n" u32) (result u32) (canon lift (core func $inner "up")))
    (component $Child
      (import "up" (func $up (param "n" u32) (result u32)))
      (core func $up (canon lower (func $up)))
      (core module $m
        (import "" "up" (func $up (param i32) (result i32)))
        (func $start (drop (call $up (i32.const 1))))
        (func (export "down") (param i32) (result i32) (call $up (local.get 0)))
        (start $start))
      (core instance $m (instantiate $m (with "" (instance (export "up" (func $up))))))
      (func (export "down") (param "n" u32) (result u32) (canon lift (core func $m "down"))))
    (instance $child (instantiate $Child (with "up" (func $up))))
    (core func $down (canon lower (func $child "down")))
    (core module $Outer
      (import "" "table" (table 1 funcref))
      (import "" "down" (func $down (param i32) (result i32)))
      (elem (i32.const 0) $down))
    (core instance (instantiate $Outer (with "" (instance
      (export "table" (table $inner "table")) (export "down" (func $down)))))))
  "uninitialized element")

;; A trap in the inner call ends all of them. What an inner call has written stays until then: globals and
;; memories are read again after every call.
(component definition $state
  (core module $Inner
    (type $f (func (param i32) (result i32)))
    (table (export "table") 1 funcref)
    (memory (export "memory") 1)
    (global $g (export "g") (mut i32) (i32.const 1))
    (func (export "up") (param i32) (result i32)
      (if (i32.eqz (local.get 0)) (then unreachable))
      (global.set $g (i32.mul (global.get $g) (i32.const 3)))
      (i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.const 5)))
      (i32.const 0)))
  (core instance $inner (instantiate $Inner))
  (func $up (param "n" u32) (result u32) (canon lift (core func $inner "up")))
  (component $Child
    (import "up" (func $up (param "n" u32) (result u32)))
    (core func $up (canon lower (func $up)))
    (core module $m
      (import "" "up" (func $up (param i32) (result i32)))
      (func (export "down") (param i32) (result i32) (call $up (local.get 0))))
    (core instance $m (instantiate $m (with "" (instance (export "up" (func $up))))))
    (func (export "down") (param "n" u32) (result u32) (canon lift (core func $m "down"))))
  (instance $child (instantiate $Child (with "up" (func $up))))
  (core func $down (canon lower (func $child "down")))
  (core module $Outer
    (import "" "down" (func $down (param i32) (result i32)))
    (import "" "memory" (memory 1))
    (import "" "g" (global $g (mut i32)))
    (func (export "run") (param i32) (result i32)
      (global.set $g (i32.const 7))
      (i32.store (i32.const 16) (i32.const 100))
      (drop (call $down (local.get 0)))
      (drop (call $down (local.get 0)))
      (i32.add (global.get $g) (i32.load (i32.const 16)))))
  (core instance $outer (instantiate $Outer (with "" (instance
    (export "down" (func $down)) (export "memory" (memory $inner "memory"))
    (export "g" (global $inner "g"))))))
  (func (export "run") (param "n" u32) (result u32) (canon lift (core func $outer "run")))
)
(component instance $i $state)
(assert_return (invoke "run" (u32.const 1)) (u32.const 173))
(assert_trap (invoke "run" (u32.const 0)) "wasm `unreachable` instruction executed")
(assert_trap (invoke "run" (u32.const 1)) "cannot enter component instance")
