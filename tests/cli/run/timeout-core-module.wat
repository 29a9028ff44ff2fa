;; RUN(124): run --timeout 0 --invoke 'spin()' %
;; How a guest is stopped in the middle is in tests/waits.rs: here it would be chance whether a busy
;; machine has begun it in a short time.
(module (func (export "spin") (result i32) (loop (br 0)) (unreachable)))
