;; RUN(2): completions tcl
;; RUN(1): man nonsense
;; RUN(2): compil
;; RUN(2): run --envi A=1 %
;; RUN(2): compile --verbose --quiet %
