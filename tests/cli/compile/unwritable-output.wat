;; RUN(1): compile % -o %tmp/no/such/folder/app.elf
;; LEAVES:
(component)
