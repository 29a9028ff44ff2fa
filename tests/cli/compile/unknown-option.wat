;; RUN(2): compile --no-such-option %
(component)
