;; RUN: inspect --graph %tmp/plan.svg %
;; RUN: compile % -o %tmp/app.elf
;; RUN(1): inspect --graph %tmp/other.svg %tmp/app.elf
;; LEAVES: app.elf plan.svg
(component)
