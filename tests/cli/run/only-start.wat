;; RUN: run %
;; A command needs no WASI.
(module (func (export "_start")))
