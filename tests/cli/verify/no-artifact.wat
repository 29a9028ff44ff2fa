;; RUN: compile % -o %tmp/app.elf
;; RUN(1): verify % %tmp/app.elf %tmp/none.elf %tmp/other.elf
;; FILE: other.elf \7fELF
(component)
