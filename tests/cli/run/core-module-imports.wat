;; RUN(1): run --invoke 'f()' %
(module (import "host" "f" (func $f)) (func (export "f") (call $f)))
