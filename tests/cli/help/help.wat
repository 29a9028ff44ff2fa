;; RUN: --help
;; RUN: compile --help
;; RUN: run --help
;; RUN: inspect --help
;; RUN: verify --help
;; RUN: wast --help
