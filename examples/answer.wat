;; A component without imports, to see the main job at work:
;;
;;   trampette run --invoke 'sum([1, 2, 39])' examples/answer.wat
(component
  (core module $main
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 16))
    (func (export "realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at
        (i32.and
          (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      ;; Grow until it fits.
      (block $fits
        (loop $more
          (br_if $fits (i32.le_u (global.get $next) (i32.shl (memory.size) (i32.const 16))))
          (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
          unreachable))
      (local.get $at))
    (func (export "sum") (param $list i32) (param $length i32) (result i64)
      (local $sum i64)
      (block $done
        (loop $next
          (br_if $done (i32.eqz (local.get $length)))
          (local.set $sum (i64.add (local.get $sum) (i64.load32_u (local.get $list))))
          (local.set $list (i32.add (local.get $list) (i32.const 4)))
          (local.set $length (i32.sub (local.get $length) (i32.const 1)))
          (br $next)))
      (local.get $sum)))
  (core instance $main (instantiate $main))
  (func (export "sum") (param "numbers" (list u32)) (result u64)
    (canon lift (core func $main "sum")
      (memory (core memory $main "memory"))
      (realloc (core func $main "realloc")))))
