;;! emit = "clif"
;;! function = "function"
;;! names = "symbols"
;; A passive segment is read until it is dropped.
(module
  (memory 1)
  (data $d "passive")
  (func (export "init") (param i32 i32 i32)
    (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
  (func (export "drop") (data.drop $d)))
