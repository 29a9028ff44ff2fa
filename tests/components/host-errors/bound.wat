;; A type that one import shares with another must be the same resource for the linker.
(component
  (import "docs:kv/store@0.1.0" (instance $store (export "entry" (type (sub resource)))))
  (alias export $store "entry" (type $entry))
  (import "docs:kv/again@0.1.0" (instance (export "same" (type (eq $entry))))))
