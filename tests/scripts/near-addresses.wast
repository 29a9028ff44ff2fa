;; Accesses near others, of which the compiler shares the addresses, wrap around as the specification has it.

(module
  (memory 1)
  (func (export "init") (param $i i32)
    (loop $again
      (i32.store8 (local.get $i) (local.get $i))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 256)))))

  ;; At x, x + 16 and x + 40, each the sum of the ones before.
  (func (export "up") (param $x i32) (result i32)
    (i32.add
      (i32.add
        (i32.load8_u (local.get $x))
        (i32.load8_u (i32.add (local.get $x) (i32.const 16))))
      (i32.load8_u offset=3 (i32.add (local.get $x) (i32.const 40)))))
  ;; The farthest first.
  (func (export "down") (param $x i32) (result i32)
    (i32.add
      (i32.add
        (i32.load8_u offset=3 (i32.add (local.get $x) (i32.const 40)))
        (i32.load8_u (i32.add (local.get $x) (i32.const 16))))
      (i32.load8_u (local.get $x))))
  ;; From x - 16, which may be before 0.
  (func (export "before") (param $x i32) (result i32)
    (i32.add
      (i32.load8_u (i32.sub (local.get $x) (i32.const 16)))
      (i32.load8_u (i32.add (local.get $x) (i32.const 16)))))
  ;; x is behind 0 again when it is accessed first.
  (func (export "wrapped") (param $x i32) (result i32)
    (i32.add
      (i32.load8_u (i32.add (local.get $x) (i32.const 16)))
      (i32.load8_u (i32.add (local.get $x) (i32.const 24)))))
  ;; In a block that the first access dominates, and in one that it does not.
  (func (export "branches") (param $x i32) (param $first i32) (result i32)
    (local $sum i32)
    (if (local.get $first)
      (then
        (local.set $sum (i32.load8_u (local.get $x)))
        (if (i32.ne (local.get $first) (i32.const 1))
          (then
            (local.set $sum
              (i32.add (local.get $sum) (i32.load8_u (i32.add (local.get $x) (i32.const 8)))))))))
    (i32.add (local.get $sum) (i32.load8_u (i32.add (local.get $x) (i32.const 32)))))
  ;; A store before a load that traps is to be seen.
  (func (export "store") (param $x i32) (result i32)
    (i32.store8 (i32.add (local.get $x) (i32.const 16)) (i32.const 99))
    (i32.load8_u (i32.add (local.get $x) (i32.const 65552))))
  (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0))))

(invoke "init" (i32.const 0))
(assert_return (invoke "up" (i32.const 10)) (i32.const 89))
(assert_return (invoke "down" (i32.const 10)) (i32.const 89))
(assert_return (invoke "before" (i32.const 30)) (i32.const 60))
(assert_trap (invoke "before" (i32.const 10)) "out of bounds memory access")
(assert_return (invoke "wrapped" (i32.const -8)) (i32.const 24))
(assert_return (invoke "wrapped" (i32.const -16)) (i32.const 8))
(assert_trap (invoke "wrapped" (i32.const -20)) "out of bounds memory access")
(assert_trap (invoke "up" (i32.const -8)) "out of bounds memory access")
(assert_trap (invoke "down" (i32.const -8)) "out of bounds memory access")
(assert_trap (invoke "up" (i32.const 65500)) "out of bounds memory access")
(assert_return (invoke "branches" (i32.const -8) (i32.const 0)) (i32.const 24))
(assert_trap (invoke "branches" (i32.const -8) (i32.const 1)) "out of bounds memory access")
(assert_return (invoke "branches" (i32.const 8) (i32.const 1)) (i32.const 48))
(assert_return (invoke "branches" (i32.const 8) (i32.const 2)) (i32.const 64))
(assert_trap (invoke "store" (i32.const -16)) "out of bounds memory access")
(assert_return (invoke "get" (i32.const 0)) (i32.const 99))

;; What that rests on: no memory grows to its last 64 KiB.
(module
  (memory 1)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
(assert_return (invoke "grow" (i32.const 65535)) (i32.const -1))
(assert_return (invoke "grow" (i32.const 65534)) (i32.const 1))
(assert_return (invoke "grow" (i32.const 1)) (i32.const -1))
(assert_return (invoke "grow" (i32.const 0)) (i32.const 65535))

;; A memory may have them from the start; then indices do wrap around.
(module
  (memory 65536)
  (func (export "near") (param $x i32) (result i32)
    (i32.add
      (i32.load8_u (local.get $x))
      (i32.load8_u (i32.add (local.get $x) (i32.const 16)))))
  (func (export "put") (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))
(invoke "put" (i32.const -8) (i32.const 3))
(invoke "put" (i32.const 8) (i32.const 4))
(assert_return (invoke "near" (i32.const -8)) (i32.const 7))
