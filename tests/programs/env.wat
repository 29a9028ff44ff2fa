;; The module `env` for `program.wat`.
(module
  (global $noted (mut i32) (i32.const 0))
  (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "note") (param i32) (global.set $noted (local.get 0)))
  (func (export "noted") (result i32) (global.get $noted)))
