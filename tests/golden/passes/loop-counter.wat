;;! function = "sum"
;; The loop's end compares the next index, so that the index has one register. The constant that is given to
;; the second loop is made there.
(module
  (memory 1)
  (func $sum (export "sum") (result i32)
    (local $i i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (i32.load offset=64 (local.get $i))))
      (br_if $again
        (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 256))))
    (local.set $i (i32.const 0))
    (loop $again
      (local.set $sum (i32.mul (local.get $sum) (i32.load offset=64 (local.get $i))))
      (br_if $again
        (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 256))))
    (local.get $sum)))
