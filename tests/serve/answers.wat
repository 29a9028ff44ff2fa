;; Serves HTTP of WASI 0.3, one call of an instance after the other: the answer has a status and no
;; body. What is specific takes the places of IMPORTS and BODY: it sets `$status`, and finds the
;; request's path at 1024.
(module
  ;; IMPORTS
  (import "wasi:http/types@0.3.2" "[method]request.get-path-with-query"
    (func $path (param i32 i32)))
  (import "wasi:http/types@0.3.2" "[resource-drop]request" (func $drop-request (param i32)))
  (import "wasi:http/types@0.3.2" "[constructor]fields" (func $fields (result i32)))
  (import "wasi:http/types@0.3.2" "[static]response.new"
    (func $respond (param i32 i32 i32 i32 i32)))
  (import "wasi:http/types@0.3.2" "[method]response.set-status-code"
    (func $set-status (param i32 i32) (result i32)))
  (import "wasi:http/types@0.3.2" "[future-new-1][static]response.new"
    (func $trailers (result i64)))
  (import "wasi:http/types@0.3.2" "[async-lower][future-write-1][static]response.new"
    (func $say-trailers (param i32 i32) (result i32)))
  (import "wasi:http/types@0.3.2" "[future-drop-readable-2][static]response.new"
    (func $drop-sent (param i32)))

  (memory (export "memory") 2)
  (data (i32.const 16) "visits")
  ;; What calls give is at 32; at 64 is the result of `handle`; 128 to 255 are zeros: no trailers.
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (if (i32.gt_u (local.get 3) (i32.const 130000)) (then (unreachable)))
    (i32.const 1024))

  (func (export "wasi:http/handler@0.3.2#handle") (param $request i32) (result i32)
    (local $status i32) (local $trailers i64)
    (call $path (local.get $request) (i32.const 32))
    (call $drop-request (local.get $request))
    ;; BODY
    (local.set $trailers (call $trailers))
    (drop (call $say-trailers
      (i32.wrap_i64 (i64.shr_u (local.get $trailers) (i64.const 32))) (i32.const 128)))
    (call $respond (call $fields) (i32.const 0) (i32.const 0)
      (i32.wrap_i64 (local.get $trailers)) (i32.const 48))
    (call $drop-sent (i32.load (i32.const 52)))
    (drop (call $set-status (i32.load (i32.const 48)) (local.get $status)))
    (i32.store8 (i32.const 64) (i32.const 0))
    (i32.store (i32.const 72) (i32.load (i32.const 48)))
    (i32.const 64)))
