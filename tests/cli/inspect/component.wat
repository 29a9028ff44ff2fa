;; RUN: inspect --all %
;; RUN: compile % -o %tmp/app.elf
;; RUN: inspect --all %tmp/app.elf
;; An artifact shows the same world as its component; trampolines are known to the compiler alone.
(component
  (import "docs:kv/store@0.1.0" (instance $store
    (export "get" (func (param "key" string) (result (option string))))))
  (core module $m (func (export "run") (result i32) i32.const 7))
  (core instance $i (instantiate $m))
  (func (export "run") (result u32) (canon lift (core func $i "run"))))
