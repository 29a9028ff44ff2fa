;; FILE: w.wit package a:b; world one {} world two {}
;; RUN(1): compile --wit %tmp/w.wit % -o %tmp/app.elf
;; RUN(1): compile --wit %tmp/w.wit --world three % -o %tmp/app.elf
;; RUN(1): compile --wit %tmp/no.wit % -o %tmp/app.elf
;; RUN: compile --wit %tmp/w.wit --world two % -o %tmp/app.elf
(component)
