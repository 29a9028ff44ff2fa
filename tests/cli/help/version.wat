;; RUN: --version
