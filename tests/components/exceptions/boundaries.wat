;; An exception never crosses the canonical ABI: it traps there, whatever would catch it on the other side.
(component
  (import "text" (func $text (result string)))
  (import "run" (func $run (param "x" u32)))
  (core module $memory
    (tag $t (export "t"))
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (throw $t))
  )
  (core instance $memory (instantiate $memory))
  (core func $text (canon lower (func $text)
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core func $run (canon lower (func $run)))
  (core module $m
    (import "host" "text" (func $text (param i32)))
    (import "host" "run" (func $run (param i32)))
    (import "memory" "t" (tag $t))
    ;; What the host returns is copied by calling `realloc`, which throws.
    (func (export "from-realloc") (param i32) (result i32)
      (block $h
        (try_table (catch_all $h) (call $text (i32.const 16)))
        (return (i32.const 0)))
      (i32.const 1))
    ;; The caller of an import catches what it throws itself after it.
    (func $call_and_throw (param i32) (call $run (local.get 0)) (throw $t))
    (func (export "around-import") (param i32) (result i32)
      (block $h
        (try_table (catch $t $h) (call $call_and_throw (local.get 0)))
        (return (i32.const 0)))
      (i32.add (local.get 0) (i32.const 1)))
    (func (export "uncaught") (param i32) (result i32)
      (call $call_and_throw (local.get 0))
      (i32.const 1))
    (func (export "unharmed") (param i32) (result i32) (local.get 0))
    (func (export "post-return") (param i32) (throw $t))
  )
  (core instance $i (instantiate $m
    (with "host" (instance (export "text" (func $text)) (export "run" (func $run))))
    (with "memory" (instance $memory))))
  (func (export "from-realloc") (param "x" u32) (result u32)
    (canon lift (core func $i "from-realloc")))
  (func (export "around-import") (param "x" u32) (result u32)
    (canon lift (core func $i "around-import")))
  (func (export "uncaught") (param "x" u32) (result u32) (canon lift (core func $i "uncaught")))
  (func (export "in-post-return") (param "x" u32) (result u32)
    (canon lift (core func $i "unharmed") (post-return (core func $i "post-return"))))
)
