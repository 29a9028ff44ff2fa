;; A memory and a table that limits of the store refuse.
(component
  (core module $libc (memory 2) (table 5 funcref) (func (export "run")))
  (core instance $i (instantiate $libc))
  (func (export "run") (canon lift (core func $i "run"))))
