;;! function = "export-entry[0]-wasm-call"
;;! inline = "yes"
;; The adapter and the callee are gone: what is left of a call between components is an addition.
(component
  (component $callee
    (core module $m
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
    (core instance $i (instantiate $m))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32)
      (canon lift (core func $i "add"))))
  (component $caller
    (import "add" (func $add (param "a" u32) (param "b" u32) (result u32)))
    (core func $add (canon lower (func $add)))
    (core module $m
      (import "" "add" (func $add (param i32 i32) (result i32)))
      (func (export "sum") (param i32) (result i32)
        (local $total i32)
        loop
          (local.set $total (call $add (local.get $total) (local.get 0)))
          (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
        end
        (local.get $total)))
    (core instance $i (instantiate $m (with "" (instance (export "add" (func $add))))))
    (func (export "sum") (param "n" u32) (result u32) (canon lift (core func $i "sum"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "add" (func $callee "add"))))
  (export "sum" (func $caller "sum")))
