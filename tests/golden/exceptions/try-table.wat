;;! emit = "clif"
;;! function = "function[1]"
;;! names = "symbols"
;; Handlers of a call: by tag, with and without a reference, and of all; values come back in slots.
(module
  (tag $e (param i32))
  (tag $f)
  (func $may (throw $f))
  (func (export "try") (result i32)
    (block $all
      (block $ref (result i32 exnref)
        (block $value (result i32)
          (try_table (catch $e $value) (catch_ref $e $ref) (catch $f $all) (catch_all $all)
            (call $may))
          (return (i32.const 0)))
        (return))
      (drop)
      (return))
    (i32.const -1)))
