;; What calls of the runtime cost: `memory.grow`, and a copy of unknown length; a short one is done in line.
;;! call = grow()
;;! call = copy-16()
;;! call = copy(100)
(component
  (core module $main
    (memory 1)
    (func (export "grow") (result i32) (memory.grow (i32.const 0)))
    (func (export "copy-16") (memory.copy (i32.const 0) (i32.const 64) (i32.const 16)))
    (func (export "copy") (param i32) (memory.copy (i32.const 0) (i32.const 1024) (local.get 0))))
  (core instance $main (instantiate $main))
  (func (export "grow") (result u32) (canon lift (core func $main "grow")))
  (func (export "copy-16") (canon lift (core func $main "copy-16")))
  (func (export "copy") (param "length" u32) (canon lift (core func $main "copy"))))
