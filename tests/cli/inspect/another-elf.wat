;; RUN(1): inspect /bin/sh
;; RUN(1): run /bin/sh
;; RUN(1): verify /bin/sh
;; RUN(1): compile /bin/sh -o %tmp/sh.elf
;; LEAVES:
;; An ELF file that something else made.
