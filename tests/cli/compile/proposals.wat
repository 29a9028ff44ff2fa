;; RUN(1): compile % -o %tmp/app.elf
;; RUN(1): compile --proposals threads % -o %tmp/app.elf
;; RUN(1): compile --proposals forward % -o %tmp/app.elf
;; RUN: compile --proposals threads,forward % -o %tmp/app.elf
;; RUN: inspect --world --proposals forward,threads %
;; RUN(1): inspect %
;; RUN(1): explore % -o %tmp/page.html
;; RUN(1): serve %
;; RUN(1): run --invoke 'number()' %
;; RUN: run --proposals forward,threads --invoke 'number()' %
;; RUN: run --precompiled --invoke 'number()' %tmp/app.elf
;; RUN(1): run --precompiled --proposals threads --invoke 'number()' %tmp/app.elf
;; RUN(1): inspect --proposals threads %tmp/app.elf
;; RUN(2): compile --proposals forward,fibers %
;; RUN(2): compile --proposals forward, %
;; FILE: slot.wat (component (core func (canon context.get i32 1)))
;; RUN(1): compile %tmp/slot.wat -o %tmp/slot.elf
;; FILE: never.wat (component (core func (canon thread.available_parallelism)))
;; RUN(1): compile --proposals forward,threads %tmp/never.wat -o %tmp/never.elf
;; LEAVES: app.elf never.wat slot.wat
;; What is not settled is refused by name, until it is asked for by name.
(component
  (type $bytes (stream u8))
  (core func $forward (canon stream.forward $bytes))
  (core func $index (canon thread.index))
  (core module $m
    (import "" "forward" (func (param i32 i32)))
    (import "" "index" (func $index (result i32)))
    (func (export "number") (result i32) (call $index)))
  (core instance $m (instantiate $m (with "" (instance
    (export "forward" (func $forward)) (export "index" (func $index))))))
  (func (export "number") (result u32) (canon lift (core func $m "number"))))
