;; RUN: run --invoke 'greeting()' %
;; RUN: run --config greeting=Hello --invoke 'greeting()' %
;; RUN: run --config greeting= --config other=1 --invoke 'greeting()' %
;; RUN: run --config greeting=a=b --invoke 'greeting()' %
;; RUN(1): run --config greeting=1 --config greeting=2 --invoke 'greeting()' %
;; RUN(2): run --config greeting --invoke 'greeting()' %
;; RUN(2): run --config =x --invoke 'greeting()' %
;; What a guest is configured with; both versions of the interface give it the same.
(component
  (import "wasi:config/store@0.2.0-rc.1" (instance $store
    (type $why (variant (case "upstream" string) (case "io" string)))
    (export "error" (type $error (eq $why)))
    (export "get" (func (param "key" string) (result (result (option string) (error $error)))))))
  (import "wasi:config/store@0.2.0-draft" (instance $draft
    (type $why (variant (case "upstream" string) (case "io" string)))
    (export "error" (type $error (eq $why)))
    (type $all (list (tuple string string)))
    (export "get-all" (func (result (result $all (error $error)))))))
  (core module $memory
    (memory (export "memory") 1)
    (global $end (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local i32)
      (local.set 4 (global.get $end))
      (global.set $end (i32.add (local.get 4)
        (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))
      (local.get 4)))
  (core instance $memory (instantiate $memory))
  (core func $get (canon lower (func $store "get")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core func $get-all (canon lower (func $draft "get-all")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "get" (func $get (param i32 i32 i32)))
    (import "" "get-all" (func $get-all (param i32)))
    (data (i32.const 0) "greeting")
    ;; The option is behind the result's case, and the number of all behind it.
    (func (export "greeting") (result i32)
      (call $get (i32.const 0) (i32.const 8) (i32.const 16))
      (if (i32.load8_u (i32.const 16)) (then (unreachable)))
      (call $get-all (i32.const 48))
      (if (i32.load8_u (i32.const 48)) (then (unreachable)))
      (i32.store (i32.const 32) (i32.load (i32.const 56)))
      (i32.const 20)))
  (core instance $m (instantiate $m (with "" (instance
    (export "memory" (memory $memory "memory"))
    (export "get" (func $get))
    (export "get-all" (func $get-all))))))
  (func (export "greeting") (result (tuple (option string) u32))
    (canon lift (core func $m "greeting") (memory (core memory $memory "memory")))))
