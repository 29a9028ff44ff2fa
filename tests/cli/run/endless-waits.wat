;; RUN(134): run %
;; A guest of WASI 0.3 that begins to wait, again and again, meets a limit.
(component
  (import "wasi:clocks/monotonic-clock@0.3.0" (instance $clock
    (export "wait-for" (func async (param "how-long" u64)))))
  (core func $wait (canon lower (func $clock "wait-for") async))
  (core module $m
    (import "" "wait" (func $wait (param i64) (result i32)))
    (func (export "run") (result i32)
      (loop $again
        (drop (call $wait (i64.const 1000000000000)))
        (br $again))
      (i32.const 0)))
  (core instance $m (instantiate $m (with "" (instance (export "wait" (func $wait))))))
  (func $run async (result (result)) (canon lift (core func $m "run")))
  (instance (export "wasi:cli/run@0.3.0") (export "run" (func $run))))
