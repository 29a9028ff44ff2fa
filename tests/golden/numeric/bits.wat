;;! function = "function"
;; Counts and rotations are single instructions.
(module
  (func (export "bits") (param i64) (result i64)
    (i64.add
      (i64.add (i64.clz (local.get 0)) (i64.ctz (local.get 0)))
      (i64.rotl (i64.popcnt (local.get 0)) (local.get 0)))))
