;; RUN: inspect --all %
;; RUN: compile % -o %tmp/app.elf
;; RUN: inspect --all %tmp/app.elf
;; A core module can be exported, which WIT cannot say: there is no world.
(component
  (core module $m)
  (export "m" (core module $m)))
