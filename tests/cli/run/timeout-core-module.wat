;; RUN(124): run --timeout 0.05 --invoke 'spin()' %
(module (func (export "spin") (result i32) (loop (br 0)) (unreachable)))
