;; The host is called while the component runs.
(component
  (import "docs:kv/store@0.1.0" (instance $store (export "f" (func))))
  (core func $f (canon lower (func $store "f")))
  (core module $m
    (import "" "f" (func $f))
    (func (export "run") (call $f)))
  (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func $run (canon lift (core func $i "run")))
  (instance $api (export "run" (func $run)))
  (export "docs:kv/api@0.1.0" (instance $api)))
