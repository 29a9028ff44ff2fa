;; RUN: inspect --all %
(component
  (import "docs:kv/store" (instance $store
    (export "r" (type $r (sub resource)))
    (export "use" (func (param "r" (borrow $r))))))
  (alias export $store "r" (type $r))
  (core func $drop (canon resource.drop $r))
  (core func $use (canon lower (func $store "use")))
  (core module $m
    (import "" "drop" (func $drop (param i32)))
    (import "" "use" (func $use (param i32)))
    (func (export "f") (param i32) (call $use (local.get 0)) (call $drop (local.get 0))))
  (core instance $m (instantiate $m (with "" (instance
    (export "drop" (func $drop))
    (export "use" (func $use))))))
  (func (export "f") (param "r" (own $r)) (canon lift (core func $m "f"))))
