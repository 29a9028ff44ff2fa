;; RUN(1): run --invoke 'nothing()' %
;; RUN(1): run --invoke 'add("x", 1)' %
;; RUN(1): run --invoke 'add(1)' %
;; RUN(1): run --invoke 'add(1, 2, 3)' %
;; RUN(1): run --invoke 'add(-1, 2)' %
;; RUN(1): run --invoke 'add(' %
;; RUN(1): run --invoke 'add' %
(component
  (core module $m
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
  (core instance $m (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32)
    (canon lift (core func $m "add"))))
