;; FILE: w.wit package a:b; world w {}
;; RUN(1): compile --wit %tmp/w.wit % -o %tmp/app.elf
(module)
