;; RUN(2): compile
;; RUN(2): no-such-command
