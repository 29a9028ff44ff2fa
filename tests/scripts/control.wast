;; Control flow within one function: blocks, loops and tables with operands, and small accesses.

(module
  ;; The sum of a..b, leaving in three ways.
  (func (export "sum") (param i32 i32) (result i32) (local i32)
    block
      loop
        local.get 0 local.get 1 i32.ge_u br_if 1
        local.get 2 local.get 0 i32.add local.set 2
        local.get 0 i32.const 1 i32.add local.set 0
        local.get 2 i32.const 1000 i32.gt_u if i32.const 77 return end
        br 0
      end
    end
    local.get 2)

  (func (export "multi-value") (param i32 i32) (result i32)
    local.get 0 local.get 1
    local.get 0 local.get 1 i32.lt_u
    if (param i32 i32) (result i32 i32)
      i32.const 100 i32.add
    else
      i32.sub i32.const 1
    end
    block (param i32 i32) (result i32)
      i32.mul
      local.get 0 i32.const 3 i32.eq br_if 0
      i32.const 1 i32.add
    end
    local.get 1
    if (param i32) (result i32) i32.const 2 i32.mul end)

  ;; Factorial of a, plus b.
  (func (export "factorial") (param i32 i32) (result i32)
    i32.const 1 local.get 0
    loop (param i32 i32) (result i32)
      local.set 0
      local.get 0 i32.mul
      local.get 0 i32.const 1 i32.sub local.tee 0
      local.get 0 i32.const 0 i32.gt_s br_if 0
      drop
    end
    local.get 1 i32.add)

  (func (export "table") (param i32 i32) (result i32)
    block $a (result i32)
      block $b (result i32)
        block $c (result i32)
          local.get 1 local.get 0 br_table $c $b $c $a
        end
        i32.const 10 i32.add
      end
      i32.const 100 i32.add
    end)

  (memory 1)
  (func (export "accesses") (param i32 i32) (result i32)
    local.get 0 local.get 1 i32.store offset=4
    local.get 0 i32.load16_s offset=4
    local.get 0 i32.load8_u offset=7
    i32.add
    memory.size i32.add)

  ;; Fills 31 bytes at 100, copies them one byte up (overlapping), reads around the end.
  (func (export "fill") (param i32 i32) (result i32)
    i32.const 100 local.get 0 i32.const 31 memory.fill
    i32.const 100 local.get 1 i32.store8
    i32.const 101 i32.const 100 i32.const 31 memory.copy
    i32.const 101 i32.load8_u
    i32.const 131 i32.load8_u i32.const 8 i32.shl i32.add
    i32.const 132 i32.load8_u i32.const 16 i32.shl i32.add))

(assert_return (invoke "sum" (i32.const 0) (i32.const 5)) (i32.const 10))
(assert_return (invoke "sum" (i32.const 7) (i32.const 8)) (i32.const 7))
(assert_return (invoke "sum" (i32.const 9) (i32.const 9)) (i32.const 0))
(assert_return (invoke "sum" (i32.const 1) (i32.const 500)) (i32.const 77))
(assert_return (invoke "multi-value" (i32.const 2) (i32.const 5)) (i32.const 422))
(assert_return (invoke "multi-value" (i32.const 5) (i32.const 2)) (i32.const 8))
(assert_return (invoke "multi-value" (i32.const 3) (i32.const 5)) (i32.const 630))
(assert_return (invoke "multi-value" (i32.const 4) (i32.const 0)) (i32.const 5))
(assert_return (invoke "factorial" (i32.const 5) (i32.const 0)) (i32.const 120))
(assert_return (invoke "factorial" (i32.const 1) (i32.const 4)) (i32.const 5))
(assert_return (invoke "factorial" (i32.const 6) (i32.const 1)) (i32.const 721))
(assert_return (invoke "table" (i32.const 0) (i32.const 1)) (i32.const 111))
(assert_return (invoke "table" (i32.const 1) (i32.const 1)) (i32.const 101))
(assert_return (invoke "table" (i32.const 2) (i32.const 1)) (i32.const 111))
(assert_return (invoke "table" (i32.const 3) (i32.const 1)) (i32.const 1))
(assert_return (invoke "table" (i32.const -1) (i32.const 2)) (i32.const 2))
(assert_return (invoke "accesses" (i32.const 8) (i32.const 0x0500_ffff)) (i32.const 5))
(assert_return (invoke "fill" (i32.const 0xfff7) (i32.const 9)) (i32.const 0xf709))
