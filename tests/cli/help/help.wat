;; RUN: --help
;; RUN: -h
;; RUN: compile --help
;; RUN: compile -h
;; RUN: run --help
;; RUN: run -h
;; RUN: inspect --help
;; RUN: inspect -h
;; RUN: explore -h
;; RUN: verify --help
;; RUN: wast -h
;; RUN: completions --help
;; RUN: man --help
