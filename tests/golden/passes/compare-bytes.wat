;;! function = "memcmp"
;; What is equal is skipped sixteen bytes at a time.
(module
  (memory 1)
  (func $memcmp (export "memcmp") (param $l i32) (param $r i32) (param $n i32) (result i32)
    (local $d i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (loop $again
      (if (local.tee $d
            (i32.sub (i32.load8_u (local.get $l)) (i32.load8_u (local.get $r))))
        (then (return (local.get $d))))
      (local.set $l (i32.add (local.get $l) (i32.const 1)))
      (local.set $r (i32.add (local.get $r) (i32.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.const 0)))
