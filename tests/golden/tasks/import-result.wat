;;! emit = "clif"
;;! function = "import-result"
;;! names = "symbols"
;;! covers = "import-result-wasm-call, import-result-native-call"
;; What a function of the host's gives later goes where its caller said: a number, and a string, for
;; which memory is asked for.
(component
  (import "f" (func $f async (result u64)))
  (import "g" (func $g async (result string)))
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $f (canon lower (func $f) async (memory $memory)))
  (core func $g (canon lower (func $g) async (memory $memory) (realloc $realloc)))
  (core module $m
    (import "" "f" (func $f (param i32) (result i32)))
    (import "" "g" (func $g (param i32) (result i32)))
    (func (export "run")
      (drop (call $f (i32.const 16)))
      (drop (call $g (i32.const 24)))))
  (core instance $m (instantiate $m (with "" (instance
    (export "f" (func $f)) (export "g" (func $g))))))
  (func (export "run") async (canon lift (core func $m "run") async)))
