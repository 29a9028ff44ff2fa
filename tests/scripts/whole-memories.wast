;; 32-bit memories of exactly 4 GiB: those whose declared maximum or minimum says so. Others keep the
;; last page free, so that accesses near one that has succeeded can share its address.

(module
  (memory 1 65536)
  (data (i32.const 8) "\2a")
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) (memory.size))
  (func (export "last") (result i32)
    (i32.store8 (i32.const -1) (i32.const 7))
    (i32.load8_u (i32.const -1)))
  ;; Two accesses near each other, of which the second wraps around.
  (func (export "wrap") (param $at i32) (result i32)
    (i32.add
      (i32.load8_u (local.get $at))
      (i32.load8_u (i32.add (local.get $at) (i32.const 16)))))
  (func (export "beyond") (param $at i32) (result i32) (i32.load8_u offset=16 (local.get $at))))
(assert_return (invoke "grow" (i32.const 65535)) (i32.const 1))
(assert_return (invoke "size") (i32.const 65536))
(assert_return (invoke "last") (i32.const 7))
(assert_return (invoke "grow" (i32.const 0)) (i32.const 65536))
(assert_return (invoke "grow" (i32.const 1)) (i32.const -1))
(assert_return (invoke "wrap" (i32.const -8)) (i32.const 42))
(assert_return (invoke "beyond" (i32.const -17)) (i32.const 7))
(assert_trap (invoke "beyond" (i32.const -16)) "out of bounds memory access")

(module
  (memory 65535 65536)
  (func (export "grow") (result i32) (memory.grow (i32.const 1)))
  (func (export "last") (result i32) (i32.load8_u (i32.const -1))))
(assert_trap (invoke "last") "out of bounds memory access")
(assert_return (invoke "grow") (i32.const 65535))
(assert_return (invoke "last") (i32.const 0))

(module (memory 65536) (func (export "last") (result i32) (i32.load8_u (i32.const -1))))
(assert_return (invoke "last") (i32.const 0))

;; Without a declared maximum.
(module
  (memory 1)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "last") (result i32) (i32.load8_u (i32.const -65537))))
(assert_return (invoke "grow" (i32.const 65535)) (i32.const -1))
(assert_return (invoke "grow" (i32.const 65534)) (i32.const 1))
(assert_return (invoke "last") (i32.const 0))
