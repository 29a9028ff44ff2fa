;; RUN(1): inspect --graph %tmp/plan.svg %
;; LEAVES:
(module)
