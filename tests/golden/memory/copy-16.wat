;;! function = "::"
;; 16 bytes are one load and one store; a size that is not known is a call of the host's `memmove`
;; after one comparison for each side.
(module
  (memory 1)
  (func $constant (export "constant") (param i32 i32)
    (memory.copy (local.get 0) (local.get 1) (i32.const 16)))
  (func $variable (export "variable") (param i32 i32 i32)
    (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func $fill (export "fill") (param i32 i32 i32)
    (memory.fill (local.get 0) (local.get 1) (local.get 2))))
