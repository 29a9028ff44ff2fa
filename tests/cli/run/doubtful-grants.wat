;; RUN(2): run --dir .:: --invoke 'f()' %
;; RUN(2): run --dir ::/x --invoke 'f()' %
;; RUN(2): run --dir=a::b::c --invoke 'f()' %
;; RUN(2): run --env =x --invoke 'f()' %
;; RUN(2): run --env= --invoke 'f()' %
;; RUN(1): run --dir .::/x --dir ..::/x/ --invoke 'f()' %
;; RUN(1): run --env A=1 --env A=2 --invoke 'f()' %
(component
  (core module $m (func (export "f") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))
