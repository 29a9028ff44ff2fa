;; RUN(134): run --no-inline --invoke 'f()' %
(module (func $f (export "f") (call $f)))
