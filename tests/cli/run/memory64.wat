;; RUN: run --max-memory 8G --invoke 'far(81919)' %
;; RUN: run --max-memory 8G --bounds explicit --invoke 'far(81919)' %
;; RUN(134): run --max-memory 8G --invoke 'far(65535)' %
;; RUN(134): run --invoke 'far(81919)' %
;; RUN: run --max-memory 100G --invoke 'grow(1048575)' %
;; RUN: run --max-memory 100G --invoke 'grow(1048576)' %
(module
  (memory i64 1)
  (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
  ;; Grows by so many pages, which must make it longer than 4.5 GiB; touches a few pages.
  (func (export "far") (param $pages i64) (result i64)
    (if (i64.eq (memory.grow (local.get $pages)) (i64.const -1)) (then unreachable))
    ;; Across 4 GiB.
    (i64.store (i64.const 0xffff_fffc) (i64.const 0x1122_3344_5566_7788))
    (if (i32.ne (i32.load (i64.const 0x1_0000_0000)) (i32.const 0x1122_3344)) (then unreachable))
    (if (i32.ne (i32.load (i64.const 0)) (i32.const 0)) (then unreachable))
    ;; With a large offset, and in bulk.
    (i32.store offset=0x1_0000_0000 (i64.const 0x2000_0000) (i32.const 5))
    (memory.fill (i64.const 0x1_1fff_fff0) (i32.const 9) (i64.const 16))
    (memory.copy (i64.const 0xffff_fff0) (i64.const 0x1_1fff_fff8) (i64.const 12))
    (i64.add
      (i64.load8_u (i64.const 0xffff_fff7))
      (i64.add
        (i64.mul (i64.const 100) (i64.load8_u (i64.const 0xffff_fff8)))
        (i64.mul (i64.const 10000) (memory.size))))))
