;; Loops that compare bytes, of which the compiler makes steps of sixteen, give what they give byte by byte.

(module
  (memory 2)
  (global $calls (mut i32) (i32.const 0))

  (func $down (export "down") (param $l i32) (param $r i32) (param $n i32) (result i32)
    (local $d i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (loop $again
      (if (local.tee $d
            (i32.sub (i32.load8_u (local.get $l)) (i32.load8_u (local.get $r))))
        (then (return (local.get $d))))
      (local.set $l (i32.add (local.get $l) (i32.const 1)))
      (local.set $r (i32.add (local.get $r) (i32.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.const 0))

  (func $index (export "index") (param $l i32) (param $r i32) (param $n i32) (result i32)
    (local $i i32) (local $a i32) (local $b i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (loop $again
      (local.set $a (i32.load8_u (i32.add (local.get $l) (local.get $i))))
      (local.set $b (i32.load8_u (i32.add (local.get $r) (local.get $i))))
      (if (i32.eq (local.get $a) (local.get $b))
        (then
          (br_if $again
            (i32.ne (local.get $n) (local.tee $i (i32.add (local.get $i) (i32.const 1)))))
          (return (i32.const 0)))))
    (i32.sub (local.get $a) (local.get $b)))

  (func $end (export "end") (param $l i32) (param $r i32) (param $n i32) (result i32)
    (local $end i32) (local $count i64) (local $a i32) (local $b i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (local.set $end (i32.add (local.get $l) (local.get $n)))
    (block $found
      (loop $again
        (br_if $found
          (i32.ne
            (local.tee $a (i32.load8_u (local.get $l)))
            (local.tee $b (i32.load8_u (local.get $r)))))
        (local.set $count (i64.add (local.get $count) (i64.const 3)))
        (local.set $r (i32.add (local.get $r) (i32.const 1)))
        (br_if $again
          (i32.ne (local.tee $l (i32.add (local.get $l) (i32.const 1))) (local.get $end))))
      (return (i32.sub (i32.mul (local.get $n) (i32.const 3)) (i32.wrap_i64 (local.get $count)))))
    (drop (i32.div_u (i32.const 1)
      (i32.eq (local.get $l)
        (i32.sub (local.get $end)
          (i32.sub (local.get $n)
            (i32.wrap_i64 (i64.div_u (local.get $count) (i64.const 3))))))))
    (i32.sub (local.get $a) (local.get $b)))

  (func $offset (export "offset") (param $l i32) (param $r i32) (param $n i32) (result i32)
    (local $d i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (local.set $l (i32.sub (local.get $l) (i32.const 7)))
    (local.set $r (i32.sub (local.get $r) (i32.const 100)))
    (loop $again
      (if (local.tee $d
            (i32.xor (i32.load8_u offset=7 (local.get $l)) (i32.load8_u offset=100 (local.get $r))))
        (then
          (return
            (i32.sub (i32.load8_u offset=7 (local.get $l)) (i32.load8_u offset=100 (local.get $r))))))
      (local.set $l (i32.add (local.get $l) (i32.const 1)))
      (local.set $r (i32.add (local.get $r) (i32.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.const 0))

  ;; The same byte by byte: every byte is counted.
  (func $plain (param $l i32) (param $r i32) (param $n i32) (result i32)
    (local $d i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (loop $again
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (if (local.tee $d
            (i32.sub (i32.load8_u (local.get $l)) (i32.load8_u (local.get $r))))
        (then (return (local.get $d))))
      (local.set $l (i32.add (local.get $l) (i32.const 1)))
      (local.set $r (i32.add (local.get $r) (i32.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.const 0))

  ;; How many of the loops give something else.
  (func $differ (param $l i32) (param $r i32) (param $n i32) (result i32)
    (local $want i32)
    (local.set $want (call $plain (local.get $l) (local.get $r) (local.get $n)))
    (i32.add
      (i32.add
        (i32.ne (local.get $want) (call $down (local.get $l) (local.get $r) (local.get $n)))
        (i32.ne (local.get $want) (call $index (local.get $l) (local.get $r) (local.get $n))))
      (i32.add
        (i32.ne (local.get $want) (call $end (local.get $l) (local.get $r) (local.get $n)))
        (i32.ne (local.get $want) (call $offset (local.get $l) (local.get $r) (local.get $n))))))

  ;; All lengths up to 70 at places around the ends of two pages, with each byte different in turn, and
  ;; none.
  (func (export "all") (result i32)
    (local $l i32) (local $r i32) (local $n i32) (local $at i32) (local $differ i32)
    (local.set $l (i32.const 4040))
    (loop $lefts
      (local.set $r (i32.const 8170))
      (loop $rights
        (local.set $n (i32.const 0))
        (loop $lengths
          (local.set $at (i32.const 0))
          (loop $places
            (i32.store8 (i32.add (local.get $r) (local.get $at)) (i32.add (local.get $at) (i32.const 1)))
            (local.set $differ
              (i32.add (local.get $differ)
                (call $differ (local.get $l) (local.get $r) (local.get $n))))
            (i32.store8 (i32.add (local.get $r) (local.get $at)) (i32.const 0))
            (br_if $places
              (i32.le_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $n))))
          (br_if $lengths
            (i32.le_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 70))))
        (br_if $rights
          (i32.le_u (local.tee $r (i32.add (local.get $r) (i32.const 5))) (i32.const 8200))))
      (br_if $lefts
        (i32.le_u (local.tee $l (i32.add (local.get $l) (i32.const 3))) (i32.const 4100))))
    (local.get $differ))

  (func (export "put") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
  (func (export "grow") (result i32) (memory.grow (i32.const 1))))

(assert_return (invoke "all") (i32.const 0))

;; down: to the end of memory, and beyond it.
(assert_return (invoke "down" (i32.const 131032) (i32.const 9000) (i32.const 40)) (i32.const 0))
(assert_trap (invoke "down" (i32.const 131032) (i32.const 9000) (i32.const 41)) "out of bounds memory access")
(assert_trap (invoke "down" (i32.const 9000) (i32.const 131032) (i32.const 400)) "out of bounds memory access")
(assert_trap (invoke "down" (i32.const 131071) (i32.const 131070) (i32.const 400)) "out of bounds memory access")
(assert_trap (invoke "down" (i32.const 131072) (i32.const 0) (i32.const 17)) "out of bounds memory access")
(assert_trap (invoke "down" (i32.const -20) (i32.const 0) (i32.const 40)) "out of bounds memory access")
;; A difference in the last byte, beyond which nothing is read.
(invoke "put" (i32.const 131071) (i32.const 200))
(assert_return (invoke "down" (i32.const 131032) (i32.const 9000) (i32.const 400)) (i32.const 200))
(assert_return (invoke "down" (i32.const 9000) (i32.const 131032) (i32.const 400)) (i32.const -200))
(invoke "put" (i32.const 131071) (i32.const 0))

;; index: to the end of memory, and beyond it.
(assert_return (invoke "index" (i32.const 131032) (i32.const 9000) (i32.const 40)) (i32.const 0))
(assert_trap (invoke "index" (i32.const 131032) (i32.const 9000) (i32.const 41)) "out of bounds memory access")
(assert_trap (invoke "index" (i32.const 9000) (i32.const 131032) (i32.const 400)) "out of bounds memory access")
(assert_trap (invoke "index" (i32.const 131071) (i32.const 131070) (i32.const 400)) "out of bounds memory access")
(assert_trap (invoke "index" (i32.const 131072) (i32.const 0) (i32.const 17)) "out of bounds memory access")
(assert_trap (invoke "index" (i32.const -20) (i32.const 0) (i32.const 40)) "out of bounds memory access")
;; A difference in the last byte, beyond which nothing is read.
(invoke "put" (i32.const 131071) (i32.const 200))
(assert_return (invoke "index" (i32.const 131032) (i32.const 9000) (i32.const 400)) (i32.const 200))
(assert_return (invoke "index" (i32.const 9000) (i32.const 131032) (i32.const 400)) (i32.const -200))
(invoke "put" (i32.const 131071) (i32.const 0))

;; end: to the end of memory, and beyond it.
(assert_return (invoke "end" (i32.const 131032) (i32.const 9000) (i32.const 40)) (i32.const 0))
(assert_trap (invoke "end" (i32.const 131032) (i32.const 9000) (i32.const 41)) "out of bounds memory access")
(assert_trap (invoke "end" (i32.const 9000) (i32.const 131032) (i32.const 400)) "out of bounds memory access")
(assert_trap (invoke "end" (i32.const 131071) (i32.const 131070) (i32.const 400)) "out of bounds memory access")
(assert_trap (invoke "end" (i32.const 131072) (i32.const 0) (i32.const 17)) "out of bounds memory access")
(assert_trap (invoke "end" (i32.const -20) (i32.const 0) (i32.const 40)) "out of bounds memory access")
;; A difference in the last byte, beyond which nothing is read.
(invoke "put" (i32.const 131071) (i32.const 200))
(assert_return (invoke "end" (i32.const 131032) (i32.const 9000) (i32.const 400)) (i32.const 200))
(assert_return (invoke "end" (i32.const 9000) (i32.const 131032) (i32.const 400)) (i32.const -200))
(invoke "put" (i32.const 131071) (i32.const 0))

;; offset: to the end of memory, and beyond it.
(assert_return (invoke "offset" (i32.const 131032) (i32.const 9000) (i32.const 40)) (i32.const 0))
(assert_trap (invoke "offset" (i32.const 131032) (i32.const 9000) (i32.const 41)) "out of bounds memory access")
(assert_trap (invoke "offset" (i32.const 9000) (i32.const 131032) (i32.const 400)) "out of bounds memory access")
(assert_trap (invoke "offset" (i32.const 131071) (i32.const 131070) (i32.const 400)) "out of bounds memory access")
(assert_trap (invoke "offset" (i32.const 131072) (i32.const 0) (i32.const 17)) "out of bounds memory access")
(assert_trap (invoke "offset" (i32.const -20) (i32.const 0) (i32.const 40)) "out of bounds memory access")
;; A difference in the last byte, beyond which nothing is read.
(invoke "put" (i32.const 131071) (i32.const 200))
(assert_return (invoke "offset" (i32.const 131032) (i32.const 9000) (i32.const 400)) (i32.const 200))
(assert_return (invoke "offset" (i32.const 9000) (i32.const 131032) (i32.const 400)) (i32.const -200))
(invoke "put" (i32.const 131071) (i32.const 0))

;; The whole of a memory that has grown.
(assert_return (invoke "grow") (i32.const 2))
(assert_return (invoke "down" (i32.const 16384) (i32.const 90112) (i32.const 106496)) (i32.const 0))
(assert_trap (invoke "down" (i32.const 16384) (i32.const 90112) (i32.const 106497)) "out of bounds memory access")
(assert_return (invoke "index" (i32.const 16384) (i32.const 90112) (i32.const 106496)) (i32.const 0))
(assert_trap (invoke "index" (i32.const 16384) (i32.const 90112) (i32.const 106497)) "out of bounds memory access")
(assert_return (invoke "end" (i32.const 16384) (i32.const 90112) (i32.const 106496)) (i32.const 0))
(assert_trap (invoke "end" (i32.const 16384) (i32.const 90112) (i32.const 106497)) "out of bounds memory access")
(assert_return (invoke "offset" (i32.const 16384) (i32.const 90112) (i32.const 106496)) (i32.const 0))
(assert_trap (invoke "offset" (i32.const 16384) (i32.const 90112) (i32.const 106497)) "out of bounds memory access")
