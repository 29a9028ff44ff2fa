;;! emit = "plan"
;; Synchronously typed calls that can wait have stacks of their own where threads name each other or
;; calls come back; there, those that cannot wait are called plainly, and elsewhere all are.
(component
  (component $switches
    (core func $index (canon thread.index))
    (core func $yield (canon thread.yield))
    (core module $m
      (import "" "index" (func $index (result i32)))
      (import "" "yield" (func $yield (result i32)))
      (func (export "names") (drop (call $index)))
      (func (export "waits") (drop (call $yield))))
    (core instance $i (instantiate $m (with "" (instance
      (export "index" (func $index))
      (export "yield" (func $yield))))))
    (func (export "names") (canon lift (core func $i "names")))
    (func (export "waits") (canon lift (core func $i "waits"))))

  (component $does-not
    (core func $yield (canon thread.yield))
    (core module $m
      (import "" "yield" (func $yield (result i32)))
      (func (export "waits") (drop (call $yield))))
    (core instance $i (instantiate $m (with "" (instance
      (export "yield" (func $yield))))))
    (func (export "waits") (canon lift (core func $i "waits"))))

  (instance $a (instantiate $switches))
  (instance $b (instantiate $does-not))
  (export "a" (instance $a))
  (export "b" (instance $b)))
