;; Handles that are lent, and borrowed handles, when the lender or the borrower is called back.
;;
;; A lends a handle of D's resource to B, which calls A back by way of the component around both; A can
;; then call B again. B can lend what it has borrowed to C, which calls B back. Everything depends on a
;; mode.
(component definition $handles
  (component $D
    (core module $m
      (global $dropped (mut i32) (i32.const 0))
      (func (export "dtor") (param i32)
        (global.set $dropped (i32.add (global.get $dropped) (local.get 0))))
      (func (export "dropped") (result i32) (global.get $dropped)))
    (core instance $m (instantiate $m))
    (type $r' (resource (rep i32) (dtor (core func $m "dtor"))))
    (export $r "r" (type $r'))
    (core func $new (canon resource.new $r'))
    (func (export "new") (param "rep" u32) (result (own $r)) (canon lift (core func $new)))
    (func (export "dropped") (result u32) (canon lift (core func $m "dropped")))
  )
  (instance $d (instantiate $D))
  (alias export $d "r" (type $R))

  ;; The way back: what the table holds is written when A and B exist.
  (core func $drop (canon resource.drop $R))
  (core module $Switch
    (type $f (func (param i32) (result i32)))
    (type $take (func (result i32)))
    (table (export "table") 3 funcref)
    (func (export "to-a") (param i32) (result i32)
      (call_indirect (type $f) (local.get 0) (i32.const 0)))
    (func (export "to-b") (param i32) (result i32)
      (call_indirect (type $f) (local.get 0) (i32.const 1)))
    (func (export "take") (result i32) (call_indirect (type $take) (i32.const 2))))
  (core instance $switch (instantiate $Switch))
  (func $to-a (param "mode" u32) (result u32) (canon lift (core func $switch "to-a")))
  (func $to-b (param "mode" u32) (result u32) (canon lift (core func $switch "to-b")))
  (func $take (result (own $R)) (canon lift (core func $switch "take")))

  (component $C
    (import "r" (type $R (sub resource)))
    (import "to-b" (func $to-b (param "mode" u32) (result u32)))
    (core func $to-b (canon lower (func $to-b)))
    (core func $drop (canon resource.drop $R))
    (core module $m
      (import "" "to-b" (func $to-b (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "h") (param $b i32) (param $mode i32) (result i32) (local $result i32)
        (local.set $result (call $to-b (local.get $mode)))
        (call $drop (local.get $b))
        (local.get $result)))
    (core instance $m (instantiate $m (with "" (instance
      (export "to-b" (func $to-b)) (export "drop" (func $drop))))))
    (func (export "h") (param "b" (borrow $R)) (param "mode" u32) (result u32)
      (canon lift (core func $m "h")))
  )
  (instance $c (instantiate $C (with "r" (type $R)) (with "to-b" (func $to-b))))

  (component $B
    (import "r" (type $R (sub resource)))
    (import "to-a" (func $to-a (param "mode" u32) (result u32)))
    (import "take" (func $take (result (own $R))))
    (import "h" (func $h (param "b" (borrow $R)) (param "mode" u32) (result u32)))
    (core func $to-a (canon lower (func $to-a)))
    (core func $take (canon lower (func $take)))
    (core func $h (canon lower (func $h)))
    (core func $drop (canon resource.drop $R))
    (core module $m
      (import "" "to-a" (func $to-a (param i32) (result i32)))
      (import "" "take" (func $take (result i32)))
      (import "" "h" (func $h (param i32 i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (global $outer (mut i32) (i32.const 0))
      (global $middle (mut i32) (i32.const 0))
      (func (export "g") (param $b i32) (param $mode i32) (result i32) (local $result i32)
        (local.set $result (i32.const 42))
        ;; The inner calls.
        (if (i32.eq (local.get $mode) (i32.const 110)) (then
          (call $drop (global.get $outer)) (call $drop (local.get $b)) (return (i32.const 42))))
        (if (i32.eq (local.get $mode) (i32.const 111)) (then
          (call $drop (global.get $outer)) (return (i32.const 42))))
        (if (i32.eq (local.get $mode) (i32.const 112)) (then (return (i32.const 42))))
        (if (i32.eq (local.get $mode) (i32.const 113)) (then
          (call $drop (local.get $b)) (return (i32.const 42))))
        (if (i32.eq (local.get $mode) (i32.const 114)) (then
          (global.set $middle (local.get $b)) (return (call $to-a (i32.const 115)))))
        (if (i32.eq (local.get $mode) (i32.const 215)) (then
          (call $drop (global.get $outer)) (call $drop (local.get $b))
          (call $drop (global.get $middle)) (return (i32.const 42))))
        (if (i32.eq (local.get $mode) (i32.const 116)) (then
          (global.set $middle (local.get $b)) (return (call $to-a (i32.const 117)))))
        (if (i32.eq (local.get $mode) (i32.const 217)) (then
          (call $drop (global.get $outer)) (call $drop (local.get $b)) (return (i32.const 42))))
        ;; The outer one.
        (global.set $outer (local.get $b))
        (if (i32.eq (local.get $mode) (i32.const 5)) (then (drop (call $take))))
        (if (i32.lt_u (local.get $mode) (i32.const 20))
          (then (local.set $result (call $to-a (local.get $mode))))
          (else (local.set $result (call $h (local.get $b) (local.get $mode)))))
        ;; In modes from 10 on the inner call drops it; or no one does.
        (if (i32.lt_u (i32.sub (local.get $mode) (i32.const 10)) (i32.const 10))
          (then (return (local.get $result))))
        (call $drop (local.get $b))
        (local.get $result))
      (func (export "give") (param i32) (call $drop (local.get 0)))
      (func (export "back") (param $mode i32) (result i32)
        (if (i32.eq (local.get $mode) (i32.const 21)) (then (call $drop (global.get $outer))))
        (i32.const 42)))
    (core instance $m (instantiate $m (with "" (instance
      (export "to-a" (func $to-a)) (export "take" (func $take)) (export "h" (func $h))
      (export "drop" (func $drop))))))
    (func (export "g") (param "b" (borrow $R)) (param "mode" u32) (result u32)
      (canon lift (core func $m "g")))
    (func (export "give") (param "r" (own $R)) (canon lift (core func $m "give")))
    (func (export "back") (param "mode" u32) (result u32) (canon lift (core func $m "back")))
  )
  (instance $b (instantiate $B (with "r" (type $R)) (with "to-a" (func $to-a))
    (with "take" (func $take)) (with "h" (func $c "h"))))

  (component $A
    (import "r" (type $R (sub resource)))
    (import "new" (func $new (param "rep" u32) (result (own $R))))
    (import "g" (func $g (param "b" (borrow $R)) (param "mode" u32) (result u32)))
    (import "give" (func $give (param "r" (own $R))))
    (core func $new (canon lower (func $new)))
    (core func $g (canon lower (func $g)))
    (core func $give (canon lower (func $give)))
    (core func $drop (canon resource.drop $R))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "g" (func $g (param i32 i32) (result i32)))
      (import "" "give" (func $give (param i32)))
      (import "" "drop" (func $drop (param i32)))
      (global $h (mut i32) (i32.const 0))
      (func (export "run") (param $mode i32) (result i32) (local $result i32)
        (global.set $h (call $new (i32.const 7)))
        (local.set $result (call $g (global.get $h) (local.get $mode)))
        ;; The lends have ended: it can be dropped.
        (call $drop (global.get $h))
        (local.get $result))
      (func (export "take") (result i32) (global.get $h))
      (func (export "back") (param $mode i32) (result i32) (local $i i32) (local $first i32)
        (if (i32.eqz (local.get $mode)) (then (return (i32.const 42))))
        (if (i32.eq (local.get $mode) (i32.const 1)) (then (call $drop (global.get $h))))
        (if (i32.eq (local.get $mode) (i32.const 2)) (then (call $give (global.get $h))))
        ;; Another handle can be given away meanwhile.
        (if (i32.eq (local.get $mode) (i32.const 3)) (then
          (call $give (call $new (i32.const 100)))
          (return (i32.const 42))))
        ;; The table grows and moves while a handle is lent.
        (if (i32.eq (local.get $mode) (i32.const 4)) (then
          (local.set $first (call $new (i32.const 1)))
          (local.set $i (i32.const 99))
          (loop $more
            (drop (call $new (i32.const 1)))
            (br_if $more (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
          (call $drop (local.get $first))
          (return (i32.const 42))))
        ;; Lent twice, and given back by the inner call only.
        (if (i32.eq (local.get $mode) (i32.const 6)) (then
          (drop (call $g (global.get $h) (i32.const 113)))
          (call $drop (global.get $h))))
        (call $g (global.get $h) (i32.add (local.get $mode) (i32.const 100)))))
    (core instance $m (instantiate $m (with "" (instance
      (export "new" (func $new)) (export "g" (func $g)) (export "give" (func $give))
      (export "drop" (func $drop))))))
    (func (export "run") (param "mode" u32) (result u32) (canon lift (core func $m "run")))
    (func (export "take") (result (own $R)) (canon lift (core func $m "take")))
    (func (export "back") (param "mode" u32) (result u32) (canon lift (core func $m "back")))
  )
  (instance $a (instantiate $A (with "r" (type $R)) (with "new" (func $d "new"))
    (with "g" (func $b "g")) (with "give" (func $b "give"))))

  (core func $a-back (canon lower (func $a "back")))
  (core func $b-back (canon lower (func $b "back")))
  (core func $a-take (canon lower (func $a "take")))
  (core module $Fill
    (import "" "table" (table 3 funcref))
    (import "" "a" (func $a (param i32) (result i32)))
    (import "" "b" (func $b (param i32) (result i32)))
    (import "" "take" (func $take (result i32)))
    (elem (i32.const 0) func $a $b $take))
  (core instance (instantiate $Fill (with "" (instance
    (export "table" (table $switch "table")) (export "a" (func $a-back))
    (export "b" (func $b-back)) (export "take" (func $a-take))))))
  (export "run" (func $a "run"))
  (export "dropped" (func $d "dropped"))
)

;; Nothing is dropped while it is lent, and everything can be afterwards.
(component instance $i $handles)
(assert_return (invoke "run" (u32.const 0)) (u32.const 42))
(assert_return (invoke "dropped") (u32.const 7))
(assert_return (invoke "run" (u32.const 3)) (u32.const 42))
(assert_return (invoke "dropped") (u32.const 114))
(assert_return (invoke "run" (u32.const 4)) (u32.const 42))
(assert_return (invoke "dropped") (u32.const 122))
(assert_return (invoke "run" (u32.const 20)) (u32.const 42))
(assert_return (invoke "dropped") (u32.const 129))
;; The inner call may drop what the outer one has borrowed, at any depth.
(assert_return (invoke "run" (u32.const 10)) (u32.const 42))
(assert_return (invoke "run" (u32.const 14)) (u32.const 42))
(assert_return (invoke "run" (u32.const 20)) (u32.const 42))
(assert_return (invoke "dropped") (u32.const 150))

;; Called back, the lender drops it.
(component instance $i $handles)
(assert_trap (invoke "run" (u32.const 1)) "cannot remove owned resource while borrowed")
(assert_trap (invoke "run" (u32.const 0)) "cannot enter component instance")
;; It gives it away as a parameter.
(component instance $i $handles)
(assert_trap (invoke "run" (u32.const 2)) "cannot remove owned resource while borrowed")
;; Or as a result.
(component instance $i $handles)
(assert_trap (invoke "run" (u32.const 5)) "cannot remove owned resource while borrowed")
;; An inner lend ends, the outer one does not.
(component instance $i $handles)
(assert_trap (invoke "run" (u32.const 6)) "cannot remove owned resource while borrowed")
;; Who has only borrowed a handle, and lent it, keeps it too.
(component instance $i $handles)
(assert_trap (invoke "run" (u32.const 21)) "cannot remove owned resource while borrowed")

;; Each call must drop its own: another one's does not count.
(component instance $i $handles)
(assert_trap (invoke "run" (u32.const 11)) "borrow handles still remain at the end of the call")
(component instance $i $handles)
(assert_trap (invoke "run" (u32.const 12)) "borrow handles still remain at the end of the call")
(component instance $i $handles)
(assert_trap (invoke "run" (u32.const 13)) "borrow handles still remain at the end of the call")
(component instance $i $handles)
(assert_trap (invoke "run" (u32.const 16)) "borrow handles still remain at the end of the call")
