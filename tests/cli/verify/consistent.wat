;; RUN: compile % -o %tmp/app.elf
;; RUN: compile % -O 0 -o %tmp/plain.elf
;; RUN: verify %tmp/app.elf %tmp/plain.elf
(component
  (core module $m
    (memory 1)
    (func (export "f") (param i32) (result i32)
      (i32.div_u (i32.load (local.get 0)) (local.get 0))))
  (core instance $m (instantiate $m))
  (func (export "f") (param "x" u32) (result u32) (canon lift (core func $m "f"))))
