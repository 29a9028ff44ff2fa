;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;; Both ranges are checked before anything is written.
(module
  (table $a 4 funcref)
  (table $b 1 10 funcref)
  (func (export "grow") (drop (table.grow $b (ref.null func) (i32.const 1))))
  (func (export "copy") (param i32 i32 i32)
    (table.copy $a $b (local.get 0) (local.get 1) (local.get 2))))
