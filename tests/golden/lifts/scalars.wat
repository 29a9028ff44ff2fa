;;! emit = "clif"
;; An entry from the host: what it checks, how it enters, what it does on a trap.
(component
  (core module $main
    (func (export "add") (param i32 i32) (result i32)
      (i32.add (local.get 0) (local.get 1))))
  (core instance $main (instantiate $main))
  (func (export "add") (param "a" u8) (param "b" u32) (result u32)
    (canon lift (core func $main "add"))))
