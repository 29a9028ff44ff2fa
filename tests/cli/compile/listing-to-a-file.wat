;; RUN: compile --emit plan % -o %tmp/plan.txt
;; RUN(1): compile --emit plan --time % -o %tmp/other.txt
;; RUN(1): compile --emit asm --stats % -o %tmp/other.txt
;; LEAVES: plan.txt
(component
  (core module $m (func (export "f") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))
