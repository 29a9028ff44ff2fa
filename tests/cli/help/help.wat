;; RUN: --help
;; RUN: compile --help
;; RUN: run --help
;; RUN: inspect --help
;; RUN: wast --help
