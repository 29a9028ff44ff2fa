;; RUN(1): compile % -o %tmp/app.elf
;; LEAVES:
(component
  (core module $m (func (export "f") (result i32) (i32.const 1)))
  (core instance $m (instantiate $m))
  (func (export "f") (result string) (canon lift (core func $m "f"))))
