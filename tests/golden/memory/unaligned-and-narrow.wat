;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;; Loads and stores of every width, signed and not.
(module
  (memory 1)
  (func (export "narrow") (param i32) (result i64)
    (i64.add
      (i64.extend_i32_s (i32.load8_s (local.get 0)))
      (i64.add (i64.load16_u (local.get 0)) (i64.load32_s offset=1 (local.get 0)))))
  (func (export "store") (param i32 i64)
    (i64.store8 (local.get 0) (local.get 1))
    (i64.store16 offset=2 (local.get 0) (local.get 1))
    (i64.store32 offset=4 (local.get 0) (local.get 1))))
