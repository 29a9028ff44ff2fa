;; A middleware, of the world `wasi:http/middleware`, as a toolchain would compile it: a core module
;; whose imports and exports have the names of the canonical ABI. `examples/middleware.rs` makes a
;; component of it.
;;
;; It passes on what is below `/public`, without that, and what comes back goes back. Everything
;; else is an error, `HTTP-request-denied`.
(module
  (import "wasi:http/types@0.3.2" "[method]request.get-path-with-query"
    (func $path (param i32 i32)))
  (import "wasi:http/types@0.3.2" "[method]request.set-path-with-query"
    (func $set-path (param i32 i32 i32 i32) (result i32)))
  (import "wasi:http/types@0.3.2" "[resource-drop]request" (func $drop-request (param i32)))
  (import "wasi:http/handler@0.3.2" "handle" (func $pass-on (param i32 i32)))

  (memory (export "memory") 2)
  (data (i32.const 16) "/public/")
  ;; The path is at 32; at 64 is what `handle` gives, a `result<response, error-code>`; what the
  ;; host gives is from 1024 on.

  ;; Once for a request: its path, which the host limits.
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (if (i32.gt_u (local.get 3) (i32.const 130000)) (then (unreachable)))
    (i32.const 1024))

  (func (export "wasi:http/handler@0.3.2#handle") (param $request i32) (result i32)
    (local $at i32) (local $index i32)
    ;; Is there a path, and does it begin like that?
    (block $denied
      (call $path (local.get $request) (i32.const 32))
      (br_if $denied (i32.eqz (i32.load8_u (i32.const 32))))
      (br_if $denied (i32.lt_u (i32.load (i32.const 40)) (i32.const 8)))
      (local.set $at (i32.load (i32.const 36)))
      (br_if $denied (i64.ne (i64.load (local.get $at)) (i64.load (i32.const 16))))
      ;; The slash behind it is the beginning of the other path.
      (br_if $denied (call $set-path (local.get $request) (i32.const 1)
        (i32.add (local.get $at) (i32.const 7))
        (i32.sub (i32.load (i32.const 40)) (i32.const 7))))
      (call $pass-on (local.get $request) (i32.const 64))
      (return (i32.const 64)))
    (call $drop-request (local.get $request))
    (i32.store8 (i32.const 64) (i32.const 1))
    ;; The sixteenth case.
    (i32.store8 (i32.const 72) (i32.const 15))
    (i32.const 64)))
