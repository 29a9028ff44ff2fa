;; Imports that are exported again, directly, as instances, and out of a nested component; and a
;; function of the component's own over the imported resource.
(component
  (import "files" (instance $files
    (export "file" (type $file (sub resource)))
    (export "[constructor]file" (func (param "name" string) (result (own $file))))
    (export "[method]file.name" (func (param "self" (borrow $file)) (result string)))
    (export "swap" (func
      (param "all" (list (own $file))) (param "one" (borrow $file))
      (result (result (list (own $file)) (error string)))))
    (export "nested" (instance
      (export "concat" (func (param "all" (list string)) (param "n" u8) (result (tuple u8 string))))))))
  (import "double" (func $double (param "x" u32) (result u32)))
  (alias export $files "file" (type $file))

  (export "twice" (func $double))
  (export "documents" (instance $files))

  (component $inner
    (import "f" (func $f (param "x" u32) (result u32)))
    (export "g" (func $f)))
  (instance $inner (instantiate $inner (with "f" (func $double))))
  (export "inner" (instance $inner))

  (core module $memory'
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $memory (instantiate $memory'))
  (core func $name (canon lower (func $files "[method]file.name")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core func $drop (canon resource.drop $file))
  (core module $main'
    (import "" "name" (func $name (param i32 i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "memory" (memory 1))
    (func (export "length") (param i32) (result i32)
      (call $name (local.get 0) (i32.const 16))
      (call $drop (local.get 0))
      (i32.load (i32.const 20)))
    (func (export "trap") unreachable))
  (core instance $main (instantiate $main' (with "" (instance
    (export "name" (func $name)) (export "drop" (func $drop))
    (export "memory" (memory $memory "memory"))))))
  (func (export "length") (param "f" (own $file)) (result u32)
    (canon lift (core func $main "length")))
  (func (export "trap") (canon lift (core func $main "trap"))))
