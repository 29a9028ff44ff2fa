;; What named instances let later components import.

(component definition $d
  (type $r' (resource (rep i32)))
  (export $r "r" (type $r'))
  (export "again" (type $r))
  (type $s' (resource (rep i32)))
  (export "s" (type $s'))
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func (export "f") (canon lift (core func $i "f"))))
(component instance $one $d)
(component instance $two $d)

;; Resource types keep their identity within an instance …
(component
  (import "one" (instance
    (export "r" (type $r (sub resource)))
    (export "again" (type (eq $r)))
    (export "s" (type (sub resource))))))
(assert_unlinkable
  (component (import "one" (instance
    (export "r" (type $r (sub resource)))
    (export "s" (type (eq $r))))))
  "resource")
;; … and differ between two instances of one definition.
(component
  (import "one" (instance (export "r" (type (sub resource)))))
  (import "two" (instance (export "r" (type (sub resource))))))
(assert_unlinkable
  (component
    (import "one" (instance $one (export "r" (type (sub resource)))))
    (alias export $one "r" (type $r))
    (import "two" (instance (export "again" (type (eq $r))))))
  "resource")
;; Functions are not carried.
(assert_unlinkable
  (component (import "one" (instance (export "f" (func)))))
  "f")
;; A later instance of the same name replaces the earlier one.
(component $one)
(assert_unlinkable
  (component (import "one" (instance (export "r" (type (sub resource))))))
  "r")
