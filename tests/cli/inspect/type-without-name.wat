;; RUN: inspect --all %
;; RUN: compile % -o %tmp/app.elf
;; RUN: inspect --all %tmp/app.elf
;; WIT cannot use a type of an interface that has no name: there is no world.
(component
  (import "one" (instance $one (export "r" (type (sub resource)))))
  (alias export $one "r" (type $r))
  (import "two" (instance (export "again" (type (eq $r))))))
