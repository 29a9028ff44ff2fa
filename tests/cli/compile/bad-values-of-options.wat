;; RUN(2): compile -O 7 %
;; RUN(2): compile --target-cpu i386 %
;; RUN(2): compile --bounds sometimes %
;; RUN(2): compile --jobs many %
;; RUN(2): compile --emit llvm %
;; RUN(2): compile --core-module m %
;; RUN(2): compile --core-module m=no-such-file.wat %
;; RUN(2): compile --world w %
(component)
