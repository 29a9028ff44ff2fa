;;! emit = "clif"
;;! function = "adapter"
;;! function = "resource-drop"
;;! names = "symbols"
;;! covers = "builtin-call-begin, builtin-call-lends, builtin-call-end, builtin-borrow-drop"
;;! blocking = "assumed"
;; A synchronously typed call with a borrowed handle, in a component with an asynchronous part: it
;; has a record, by which the handle names it, and which holds what was lent.
(component
  (component $owner
    (type $r' (resource (rep i32)))
    (export $r "r" (type $r')))
  (component $back
    (import "r" (type $r (sub resource)))
    (core func $drop (canon resource.drop $r))
    (core module $m
      (import "" "drop" (func $drop (param i32)))
      (func (export "f") (param i32) (call $drop (local.get 0))))
    (core instance $m (instantiate $m (with "" (instance (export "drop" (func $drop))))))
    (func (export "f") (param "lent" (borrow $r)) (canon lift (core func $m "f"))))
  (component $front
    (import "r" (type $r (sub resource)))
    (import "f" (func $f (param "lent" (borrow $r))))
    (core func $f (canon lower (func $f)))
    (core module $m
      (import "" "f" (func $f (param i32)))
      (func (export "run") (call $f (i32.const 1))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") async (canon lift (core func $m "run"))))
  (instance $owner (instantiate $owner))
  (alias export $owner "r" (type $r))
  (instance $back (instantiate $back (with "r" (type $r))))
  (instance $front (instantiate $front (with "f" (func $back "f")) (with "r" (type $r))))
  (export "run" (func $front "run")))
