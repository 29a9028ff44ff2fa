;; RUN(124): run --timeout 0.0 --invoke 'spin()' %
;; RUN(124): run --timeout 0ms --invoke 'spin()' %
;; RUN(124): run --timeout '0 s' --invoke 'spin()' %
;; RUN(2): run --timeout 5x --invoke 'spin()' %
;; RUN(2): run --timeout -1 --invoke 'spin()' %
;; RUN(2): run --timeout soon --invoke 'spin()' %
(component
  (core module $m (func (export "spin") (result i32) (loop (br 0)) (unreachable)))
  (core instance $m (instantiate $m))
  (func (export "spin") (result s32) (canon lift (core func $m "spin"))))
