;; RUN: compile --time % -o %tmp/app.elf
;; RUN: compile --time -O 0 --jobs 1 % -o %tmp/app.elf
(component)
