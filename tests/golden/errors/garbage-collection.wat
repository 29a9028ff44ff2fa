;; Errors name what is not supported and where it is.
(component
  (core module $main
    (type $pair (struct (field i32) (field i32)))
    (func (export "run") (result i32)
      (struct.get $pair 0 (struct.new $pair (i32.const 1) (i32.const 2)))))
  (core instance $main (instantiate $main))
  (func (export "run") (result u32) (canon lift (core func $main "run"))))
