;;! emit = "clif"
;;! function = "adapter"
;; An owned handle moves from table to table.
(component
  (component $Back
    (type $r' (resource (rep i32))) (export $r "r" (type $r'))
    (core module $m (func (export "f") (param i32)))
    (core instance $m (instantiate $m))
    (func (export "f") (param "r" (own $r))
      (canon lift (core func $m "f")))
  )
  (component $Front
    (import "r" (type $r (sub resource)))
    (import "f" (func $f (param "r" (own $r))))
    (core func $f (canon lower (func $f)))
    (core module $m
      (import "" "f" (func $f (param i32)))
      (table 1 funcref)
      (elem (i32.const 0) func $f)
      (type $t (func (param i32)))
      (func (export "run") (local i32)
        (call_indirect (type $t) (local.get 0) (i32.const 0))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") (canon lift (core func $m "run")))
  )
  (instance $back (instantiate $Back))
  (alias export $back "r" (type $r))
  (instance $front (instantiate $Front (with "f" (func $back "f")) (with "r" (type $r))))
  (func (export "run") (alias export $front "run"))
)
