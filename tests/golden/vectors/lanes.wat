;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;; Shuffles, swizzles, and lanes from and to memory.
(module
  (memory 1)
  (func (export "reverse") (param v128) (result v128)
    (i8x16.shuffle 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0 (local.get 0) (local.get 0)))
  (func (export "pick") (param v128 v128) (result v128)
    (i8x16.swizzle (local.get 0) (local.get 1)))
  (func (export "load") (param i32 v128) (result v128)
    (v128.load16_lane offset=2 5 (local.get 0) (local.get 1)))
  (func (export "splat") (param i32) (result v128) (v128.load32_splat (local.get 0))))
