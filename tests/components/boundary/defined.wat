;; A resource that a component defines, whose handles the host holds.
(component
  (type $r' (resource (rep i32)))
  (core func $new (canon resource.new $r'))
  (core func $rep (canon resource.rep $r'))
  (core func $drop (canon resource.drop $r'))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "rep" (func $rep (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
    ;; The handle, and what it stands for.
    (func (export "take") (param i32) (result i32) (local $rep i32)
      (local.set $rep (call $rep (local.get 0)))
      (call $drop (local.get 0))
      (i32.add (i32.mul (local.get $rep) (i32.const 100)) (local.get 0)))
    (func (export "look") (param i32) (result i32) (local.get 0))
    (func (export "pair") (param i32 i32)))
  (core instance $m (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
  (export $r "r" (type $r'))
  (func (export "make") (param "rep" u32) (result (own $r)) (canon lift (core func $m "make")))
  (func (export "take") (param "r" (own $r)) (result u32) (canon lift (core func $m "take")))
  (func (export "look") (param "r" (borrow $r)) (result u32) (canon lift (core func $m "look")))
  (func (export "pair") (param "a" (own $r)) (param "b" (own $r))
    (canon lift (core func $m "pair"))))
