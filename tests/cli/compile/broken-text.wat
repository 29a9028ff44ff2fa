;; RUN(1): compile %
;; RUN(1): run %
;; RUN(1): inspect %
(component (import
