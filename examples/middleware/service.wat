;; A service, of the world `wasi:http/service`, as a toolchain would compile it: see `guard.wat`.
;;
;; It gives back the body of a request as it comes, and the request's path in a header `x-path`.
(module
  (import "wasi:http/types@0.3.2" "[method]request.get-path-with-query"
    (func $path (param i32 i32)))
  (import "wasi:http/types@0.3.2" "[constructor]fields" (func $fields (result i32)))
  (import "wasi:http/types@0.3.2" "[method]fields.append"
    (func $append (param i32 i32 i32 i32 i32 i32)))
  ;; Takes a request and a future; gives a stream, and a future of trailers.
  (import "wasi:http/types@0.3.2" "[static]request.consume-body"
    (func $consume (param i32 i32 i32)))
  (import "wasi:http/types@0.3.2" "[future-new-0][static]request.consume-body"
    (func $outcome (result i64)))
  (import "wasi:http/types@0.3.2" "[async-lower][future-write-0][static]request.consume-body"
    (func $say-outcome (param i32 i32) (result i32)))
  ;; Takes headers, perhaps a stream, and a future of trailers; gives a response and a future.
  (import "wasi:http/types@0.3.2" "[static]response.new"
    (func $respond (param i32 i32 i32 i32 i32)))
  (import "wasi:http/types@0.3.2" "[future-drop-readable-2][static]response.new"
    (func $drop-sent (param i32)))

  (memory (export "memory") 2)
  (data (i32.const 16) "x-path")
  ;; The path is at 32, then what calls give; at 64 is the result of `handle`; 128 to 255 are
  ;; zeros, a good outcome; what the host gives is from 1024 on.

  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (if (i32.gt_u (local.get 3) (i32.const 130000)) (then (unreachable)))
    (i32.const 1024))

  (func (export "wasi:http/handler@0.3.2#handle") (param $request i32) (result i32)
    (local $headers i32) (local $outcome i64)
    (local.set $headers (call $fields))
    (call $path (local.get $request) (i32.const 32))
    (call $append (local.get $headers) (i32.const 16) (i32.const 6)
      (i32.load (i32.const 36)) (i32.load (i32.const 40)) (i32.const 48))
    ;; What becomes of the request's body is well, whoever asks.
    (local.set $outcome (call $outcome))
    (drop (call $say-outcome
      (i32.wrap_i64 (i64.shr_u (local.get $outcome) (i64.const 32))) (i32.const 128)))
    (call $consume (local.get $request) (i32.wrap_i64 (local.get $outcome)) (i32.const 32))
    (call $respond (local.get $headers) (i32.const 1) (i32.load (i32.const 32))
      (i32.load (i32.const 36)) (i32.const 48))
    (call $drop-sent (i32.load (i32.const 52)))
    (i32.store8 (i32.const 64) (i32.const 0))
    (i32.store (i32.const 72) (i32.load (i32.const 48)))
    (i32.const 64)))
