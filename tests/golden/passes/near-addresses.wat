;;! function = "sum"
;; Indices that are a constant more than one that was accessed need no sum of their own; one that is less does.
(module
  (memory 1)
  (func $sum (export "sum") (param $x i32) (result i32)
    (i32.add
      (i32.add
        (i32.load (local.get $x))
        (i32.load (i32.add (local.get $x) (i32.const 16))))
      (i32.add
        (i32.load offset=8 (i32.add (local.get $x) (i32.const 40)))
        (i32.load (i32.sub (local.get $x) (i32.const 8)))))))
