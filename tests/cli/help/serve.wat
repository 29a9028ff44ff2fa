;; RUN: serve --help
;; RUN: serve -h
(component)
