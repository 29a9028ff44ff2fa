;;! emit = "clif"
;;! function = "function"
;;! function = "builtin"
;;! names = "symbols"
;;! covers = "builtin-memory-grow"
;; Growth is a service; the size is in the root.
(module
  (memory 1 10)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) (memory.size)))
