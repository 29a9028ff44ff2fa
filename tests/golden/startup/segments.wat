;;! emit = "clif"
;;! function = "startup[0]-wasm-call"
;;! names = "symbols"
;; Segments whose place or whose room only the run knows: elements first, each checked before its
;; copy.
(component
  (core module $a
    (memory (export "memory") 1)
    (table (export "table") 2 10 funcref)
    (func (export "grow") (drop (table.grow (ref.null func) (i32.const 1))))
    (func $s (drop (memory.grow (i32.const 1))))
    (start $s))
  (core instance $a (instantiate $a))
  (core module $b
    (import "a" "memory" (memory 1))
    (import "a" "table" (table 1 funcref))
    (func $f)
    (elem (i32.const 1) $f)
    (data (i32.const 65536) "after growth"))
  (core instance (instantiate $b (with "a" (instance $a)))))
