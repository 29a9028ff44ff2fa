;; FILE: m.wat (module)
;; RUN(1): compile --core-module typo=%tmp/m.wat % -o %tmp/app.elf
;; RUN(1): run --core-module 'typo#n=%tmp/m.wat' --invoke 'f()' %
;; RUN(1): inspect --core-module libc=%tmp/m.wat --core-module libc=%tmp/m.wat %
;; LEAVES: m.wat
(component
  (import "libc" (core module $libc))
  (import "host" (instance (export "n" (core module))))
  (core instance (instantiate $libc)))
