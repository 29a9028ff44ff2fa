;; A start function that throws.
(component
  (core module $m
    (tag $t)
    (func $start (throw $t))
    (start $start)
  )
  (core instance (instantiate $m))
)
