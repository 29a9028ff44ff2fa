;; RUN(1): wast %
(module (func
