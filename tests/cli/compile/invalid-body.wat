;; RUN(1): compile % -o %tmp/app.elf
;; LEAVES:
(component
  (core module $m (func (export "f") (result i32) (i64.const 1)))
  (core instance $m (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $m "f"))))
