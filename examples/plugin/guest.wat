;; A plugin of the world `guest` in `plugin.wit`, as a toolchain would compile it: a core module
;; whose imports and exports have the names of the canonical ABI. `examples/plugin.rs` makes a
;; component of it.
;;
;; `transform(text)` logs the text, says `working` on standard output, and gives back the first 16
;; bytes of `/data/greeting` followed by the text. Three texts are special: `spin` never returns,
;; `grow` takes memory until there is no more, and `write` tries to change `/data/greeting`.
(module
  (import "example:plugin/host@1.0.0" "log" (func $log (param i32 i32 i32)))
  (import "wasi:cli/stdout@0.2.12" "get-stdout" (func $get-stdout (result i32)))
  (import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-write-and-flush"
    (func $write-out (param i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.12" "[resource-drop]output-stream" (func $drop-stream (param i32)))
  (import "wasi:filesystem/preopens@0.2.12" "get-directories" (func $directories (param i32)))
  (import "wasi:filesystem/types@0.2.12" "[method]descriptor.open-at"
    (func $open-at (param i32 i32 i32 i32 i32 i32 i32)))
  (import "wasi:filesystem/types@0.2.12" "[method]descriptor.read"
    (func $read (param i32 i64 i64 i32)))
  (import "wasi:filesystem/types@0.2.12" "[resource-drop]descriptor"
    (func $drop-descriptor (param i32)))

  (memory (export "memory") 1)
  (data (i32.const 16) "plugin 1")
  (data (i32.const 32) "working\n")
  (data (i32.const 48) "greeting")
  (data (i32.const 64) "there is no more memory")
  (data (i32.const 96) "no such file, or no right to it")
  ;; Results of calls are at 128 and, of this module's exports, at 160; behind that is the heap.
  (global $heap (mut i32) (i32.const 1024))

  (func $allocate (export "cabi_realloc")
    (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
      (then (drop (memory.grow (i32.add (i32.const 1)
        (i32.shr_u (local.get $size) (i32.const 16)))))))
    (memory.copy (local.get $at) (local.get $old) (local.get $old-size))
    (local.get $at))

  ;; A string result at 160.
  (func (export "name") (result i32)
    (i32.store (i32.const 160) (i32.const 16))
    (i32.store (i32.const 164) (i32.const 8))
    (i32.const 160))

  ;; A `result<string, string>` at 160.
  (func $result (param $is-error i32) (param $text i32) (param $length i32) (result i32)
    (i32.store (i32.const 160) (local.get $is-error))
    (i32.store (i32.const 164) (local.get $text))
    (i32.store (i32.const 168) (local.get $length))
    (i32.const 160))

  ;; Opens `greeting` in the first directory; -1 if that fails.
  (func $open (param $rights i32) (result i32)
    (local $directory i32)
    (call $directories (i32.const 128))
    (local.set $directory (i32.load (i32.load (i32.const 128))))
    (call $open-at (local.get $directory) (i32.const 0) (i32.const 48) (i32.const 8)
      (i32.const 0) (local.get $rights) (i32.const 128))
    (call $drop-descriptor (local.get $directory))
    (select (i32.const -1) (i32.load (i32.const 132)) (i32.load8_u (i32.const 128))))

  (func (export "transform") (param $text i32) (param $length i32) (result i32)
    (local $stdout i32) (local $file i32) (local $greeting i32) (local $size i32) (local $first i32)
    (call $log (i32.const 1) (local.get $text) (local.get $length))
    (local.set $first (i32.load (local.get $text)))
    (if (i32.eq (local.get $first) (i32.const 0x6e697073)) ;; spin
      (then (loop $forever (br $forever))))
    (if (i32.eq (local.get $first) (i32.const 0x776f7267)) ;; grow
      (then
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (return (call $result (i32.const 1) (i32.const 64) (i32.const 23)))))

    (local.set $stdout (call $get-stdout))
    (call $write-out (local.get $stdout) (i32.const 32) (i32.const 8) (i32.const 128))
    (call $drop-stream (local.get $stdout))

    ;; Flags: 1 to read, 3 to write too.
    (local.set $file (call $open (select (i32.const 3) (i32.const 1)
      (i32.eq (local.get $first) (i32.const 0x74697277))))) ;; writ(e)
    (if (i32.eq (local.get $file) (i32.const -1))
      (then (return (call $result (i32.const 1) (i32.const 96) (i32.const 31)))))
    (call $read (local.get $file) (i64.const 16) (i64.const 0) (i32.const 128))
    (call $drop-descriptor (local.get $file))
    (local.set $size (i32.load (i32.const 136)))
    (local.set $greeting (call $allocate (i32.load (i32.const 132)) (local.get $size) (i32.const 1)
      (i32.add (local.get $size) (local.get $length))))
    (memory.copy (i32.add (local.get $greeting) (local.get $size)) (local.get $text)
      (local.get $length))
    (call $result (i32.const 0) (local.get $greeting)
      (i32.add (local.get $size) (local.get $length))))

  ;; What calls have allocated is free when the host has read the result.
  (func (export "cabi_post_transform") (param i32)
    (global.set $heap (i32.const 1024))))
