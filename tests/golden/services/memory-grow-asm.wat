;;! function = "builtin-memory-grow"
;; From one convention to the other, in machine code.
(module
  (memory 1)
  (func (export "grow") (result i32) (memory.grow (i32.const 1))))
