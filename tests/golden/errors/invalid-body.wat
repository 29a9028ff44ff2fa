;; Errors name the function and the offset in the component.
(component
  (core module $main
    (func (export "bad") (result i32) (i64.const 1)))
  (core instance $main (instantiate $main))
  (func (export "bad") (result u32) (canon lift (core func $main "bad"))))
