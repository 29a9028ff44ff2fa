;; Values for the host that are larger there than in the guest.
(component
  (import "take" (func $take (param "texts" (list string))))
  (core module $m
    (memory (export "memory") 600)
    (func $list (param $at i32) (param $count i32) (param $pointer i32) (param $length i32)
      (loop $again
        (i32.store (local.get $at) (local.get $pointer))
        (i32.store offset=4 (local.get $at) (local.get $length))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $again
          (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
    (func (export "bytes") (param $length i32) (result i32)
      (i32.store (i32.const 0) (i32.const 65536))
      (i32.store (i32.const 4) (local.get $length))
      (i32.const 0))
    ;; As many strings of 4 KiB, all the same.
    (func $texts (export "texts") (param $count i32) (result i32)
      (call $list (i32.const 65536) (local.get $count) (i32.const 16) (i32.const 4096))
      (i32.store (i32.const 0) (i32.const 65536))
      (i32.store (i32.const 4) (local.get $count))
      (i32.const 0)))
  (core instance $m (instantiate $m))
  (alias core export $m "memory" (core memory $memory))
  ;; Their encoding is another than the host's, so that they are copied.
  (core func $take (canon lower (func $take) (memory $memory) string-encoding=utf16))
  (core module $caller
    (import "" "memory" (memory 600))
    (import "" "texts" (func $texts (param i32) (result i32)))
    (import "" "take" (func $take (param i32 i32)))
    (func (export "give") (param $count i32)
      (drop (call $texts (local.get $count)))
      (call $take (i32.const 65536) (local.get $count))))
  (core instance $imports
    (export "memory" (memory $memory)) (export "texts" (func $m "texts"))
    (export "take" (func $take)))
  (core instance $caller (instantiate $caller (with "" (instance $imports))))
  (type $point' (record (field "a-name-that-is-long" u8)))
  (export $point "point" (type $point'))
  (func (export "bytes") (param "length" u32) (result (list u8))
    (canon lift (core func $m "bytes") (memory $memory)))
  (func (export "points") (param "length" u32) (result (list $point))
    (canon lift (core func $m "bytes") (memory $memory)))
  (func (export "texts") (param "count" u32) (result (list string))
    (canon lift (core func $m "texts") (memory $memory)))
  (func (export "give") (param "count" u32) (canon lift (core func $caller "give"))))
