;;! emit = "clif"
;;! function = "adapter"
;; A variant whose cases share flat values: each case reinterprets them.
(component
  (component $Back
    (type $choice' (variant (case "a") (case "b" u32) (case "c" f64) (case "d" f32))) (export $choice "choice" (type $choice'))
    (core module $m (func (export "f") (param i32 i64)))
    (core instance $m (instantiate $m))
    (func (export "f") (param "v" $choice)
      (canon lift (core func $m "f")))
  )
  (component $Front
    (type $choice' (variant (case "a") (case "b" u32) (case "c" f64) (case "d" f32))) (import "choice" (type $choice (eq $choice')))
    (import "f" (func $f (param "v" $choice)))
    (core func $f (canon lower (func $f)))
    (core module $m
      (import "" "f" (func $f (param i32 i64)))
      (table 1 funcref)
      (elem (i32.const 0) func $f)
      (type $t (func (param i32 i64)))
      (func (export "run") (local i32) (local i64)
        (call_indirect (type $t) (local.get 0) (local.get 1) (i32.const 0))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") (canon lift (core func $m "run")))
  )
  (instance $back (instantiate $Back))
  (alias export $back "choice" (type $choice))
  (instance $front (instantiate $Front (with "f" (func $back "f")) (with "choice" (type $choice))))
  (func (export "run") (alias export $front "run"))
)
