;; RUN(1): compile % -o %tmp/app.elf
(component
  (core module $m
    (type $pair (struct (field i32)))
    (func (export "f") (result i32) (struct.get $pair 0 (struct.new $pair (i32.const 1)))))
  (core instance $m (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $m "f"))))
