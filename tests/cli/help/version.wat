;; RUN: -V
;; RUN: --version
