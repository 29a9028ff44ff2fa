;; RUN: inspect --world %
;; RUN: inspect --functions %
(component
  (import "docs:clock/ticks@0.1.0" (instance $ticks
    (export "next" (func async (result u64)))
    (export "all" (func (result (stream u64))))))
  (type $bytes (stream u8))
  (core module $m
    (func (export "run") (param i32) (result i32) (i32.const 0))
    (func (export "back") (param i32 i32 i32) (result i32) (i32.const 0))
    (func (export "read") (param i32))
    (func (export "wait")))
  (core instance $m (instantiate $m))
  (func (export "run") async (param "x" u32) (result (result u8 (error u32)))
    (canon lift (core func $m "run") async (callback (core func $m "back"))))
  (func (export "read") async (param "bytes" $bytes) (canon lift (core func $m "read") async))
  (func (export "wait") async (canon lift (core func $m "wait"))))
