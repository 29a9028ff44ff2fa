;; RUN(1): compile % -o %tmp/app.elf
(component (import "c" (component (export "f" (func)))))
