;; What the host cannot provide.
(component
  (import "c" (component (export "f" (func)))))
