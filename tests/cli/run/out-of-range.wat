;; RUN(1): run --invoke 'f(256, 0, 0, "a", [1])' %
;; RUN(1): run --invoke 'f(0, -32769, 0, "a", [1])' %
;; RUN(1): run --invoke 'f(0, 0, 18446744073709551616, "a", [1])' %
;; RUN(1): run --invoke 'f(0, 0, 0, 5, [1])' %
;; RUN(1): run --invoke 'f(0, 0, 0, "a", [1, 300])' %
;; RUN(1): run --invoke 'f(0, 0, 0, "a")' %
;; RUN(1): run --invoke 'f' %
;; The parameter is named.
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
    (func (export "f") (param i32 i32 i64 i32 i32 i32 i32)))
  (core instance $m (instantiate $m))
  (func (export "f") (param "small" u8) (param "short" s16) (param "long" u64) (param "name" string)
      (param "bytes" (list u8))
    (canon lift (core func $m "f") (memory (core memory $m "memory"))
      (realloc (core func $m "realloc")))))
