;;! emit = "clif"
;;! function = "function[0]"
;;! function = "function[1]"
;;! names = "symbols"
;; A passive segment is read until it is dropped.
(module
  (table $t 4 funcref)
  (elem $e func $f)
  (func (export "init") (param i32 i32 i32)
    (table.init $t $e (local.get 0) (local.get 1) (local.get 2)))
  (func (export "drop") (elem.drop $e))
  (func $f))
