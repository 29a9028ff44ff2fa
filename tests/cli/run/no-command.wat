;; RUN(1): run %
(component)
