;;! emit = "clif"
;;! function = "adapter"
;; Scalars only: a call. Nothing can observe may_leave, so nothing tests it.
(component
  (component $Back
    (core module $m (func (export "f") (param i32 f64 i32) (result i32) (i32.const 0)))
    (core instance $m (instantiate $m))
    (func (export "f") (param "a" u8) (param "b" f64) (param "c" s32) (result u16)
      (canon lift (core func $m "f")))
  )
  (component $Front
    (import "f" (func $f (param "a" u8) (param "b" f64) (param "c" s32) (result u16)))
    (core func $f (canon lower (func $f)))
    (core module $m
      (import "" "f" (func $f (param i32 f64 i32) (result i32)))
      (table 1 funcref)
      (elem (i32.const 0) func $f)
      (type $t (func (param i32 f64 i32) (result i32)))
      (func (export "run") (local i32) (local f64) (local i32)
        (call_indirect (type $t) (local.get 0) (local.get 1) (local.get 2) (i32.const 0))drop))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") (canon lift (core func $m "run")))
  )
  (instance $back (instantiate $Back))
  (instance $front (instantiate $Front (with "f" (func $back "f"))))
  (func (export "run") (alias export $front "run"))
)
