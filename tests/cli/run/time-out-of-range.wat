;; FILE: f contents
;; RUN(1): run --dir %tmp::/ %
;; A guest sets a file's time to u64::MAX seconds and 1,000,000,000 nanoseconds: `Duration::new` overflows in the host.
(component
  (import "wasi:filesystem/types@0.2.0" (instance $types
    (export "descriptor" (type $descriptor (sub resource)))
    (type $path-flags-def (flags "symlink-follow"))
    (export "path-flags" (type $path-flags (eq $path-flags-def)))
    (type $datetime-def (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $datetime-def)))
    (type $new-timestamp-def (variant (case "no-change") (case "now") (case "timestamp" $datetime)))
    (export "new-timestamp" (type $new-timestamp (eq $new-timestamp-def)))
    (type $error-code-def (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist" "file-too-large"
      "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop" "too-many-links" "message-size" "name-too-long"
      "no-device" "no-entry" "no-lock" "insufficient-memory" "insufficient-space" "not-directory" "not-empty" "not-recoverable" "unsupported"
      "no-tty" "no-such-device" "overflow" "not-permitted" "pipe" "read-only" "invalid-seek" "text-file-busy" "cross-device"))
    (export "error-code" (type $error-code (eq $error-code-def)))
    (export "[method]descriptor.set-times-at" (func (param "self" (borrow $descriptor)) (param "path-flags" $path-flags) (param "path" string)
      (param "data-access-timestamp" $new-timestamp) (param "data-modification-timestamp" $new-timestamp) (result (result (error $error-code)))))))
  (alias export $types "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor (type $d))
    (export "descriptor" (type $descriptor (eq $d)))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))
  (core module $libc
    (memory (export "memory") 1)
    (global $at (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $at (i32.and (i32.add (global.get $at) (i32.const 7)) (i32.const -8)))
      (global.get $at)
      (global.set $at (i32.add (global.get $at) (local.get 3)))))
  (core instance $libc (instantiate $libc))
  (core func $get (canon lower (func $preopens "get-directories") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $set (canon lower (func $types "[method]descriptor.set-times-at") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "wasi" "get" (func $get (param i32)))
    (import "wasi" "set" (func $set (param i32 i32 i32 i32 i32 i64 i32 i32 i64 i32 i32)))
    (data (i32.const 64) "f")
    (func (export "run") (result i32)
      (call $get (i32.const 16))
      (call $set
        (i32.load (i32.load (i32.const 16))) (i32.const 1) (i32.const 64) (i32.const 1)
        (i32.const 2) (i64.const -1) (i32.const 1000000000)
        (i32.const 0) (i64.const 0) (i32.const 0)
        (i32.const 32))
      (i32.load8_u (i32.const 32))))
  (core instance $wasi (export "get" (func $get)) (export "set" (func $set)))
  (core instance $main (instantiate $main (with "libc" (instance $libc)) (with "wasi" (instance $wasi))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance (export "wasi:cli/run@0.2.0") (export "run" (func $run))))
