;; RUN: compile % -o %tmp/app.elf
;; RUN(1): compile %tmp/app.elf -o %tmp/again.elf
;; LEAVES: app.elf
(component)
