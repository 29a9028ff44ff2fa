;;! emit = "clif"
;;! function = "resource-rep"
;;! names = "symbols"
;;! covers = "component-trampolines-wasm-call-resource-rep, builtin-raise"
;; The handle is in range, of this resource and owned, or which of these it is not is said.
(component
  (type $r (resource (rep i32)))
  (core func $rep (canon resource.rep $r))
  (core module $m
    (import "" "rep" (func $rep (param i32) (result i32)))
    (func (export "run") (drop (call $rep (i32.const 1)))))
  (core instance $m (instantiate $m (with "" (instance (export "rep" (func $rep))))))
  (func (export "run") (canon lift (core func $m "run"))))
