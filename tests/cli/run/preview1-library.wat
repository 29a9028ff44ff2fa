;; FILE: env.wat (module (func (export "log") (param i32)))
;; RUN: run --core-module env=%tmp/env.wat --invoke 'plugin(1)' %
;; RUN(1): run --core-module env=%tmp/env.wat --invoke 'plugin(0)' %
;; RUN: compile --core-module env=%tmp/env.wat % -o %tmp/plugin.elf
;; RUN: run --precompiled --invoke 'plugin(41)' %tmp/plugin.elf
;; RUN(1): run --invoke 'plugin(1)' %
;; A library that uses WASI and something else of its host's: what Emscripten makes. `_initialize`
;; runs before anything else of it, and once.
(module
  (import "env" "log" (func $log (param i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (global $added (mut i32) (i32.const 0))
  (func (export "_initialize")
    (global.set $added (i32.add (global.get $added) (i32.const 1))))
  (func (export "plugin") (param i32) (result i32)
    (call $log (local.get 0))
    (if (i32.eqz (local.get 0)) (then (call $exit (i32.const 1))))
    (i32.add (local.get 0) (global.get $added))))
