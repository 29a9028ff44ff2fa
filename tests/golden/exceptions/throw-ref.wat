;;! emit = "clif"
;;! function = "function[1]"
;;! names = "symbols"
;;! covers = "builtin-throw-ref"
;; Caught with its reference, and thrown again; a null reference traps.
(module
  (func $may)
  (func (export "again")
    (block $caught (result exnref)
      (try_table (catch_all_ref $caught) (call $may))
      (return))
    (throw_ref)))
