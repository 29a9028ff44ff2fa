;; RUN: inspect %
;; RUN: compile % -o %tmp/app.elf
;; RUN: inspect --all %tmp/app.elf
;; What it imports and uses needs options of `run` and `serve`; what it does not use needs none.
(component
  (import "wasi:config/store@0.2.0-rc.1" (instance $config
    (export "get-all" (func (param "a" u32)))))
  (import "wasi:sockets/tcp@0.2.12" (instance $tcp (export "f" (func (param "a" u32)))))
  (import "wasi:sockets/udp@0.2.12" (instance $udp (export "f" (func (param "a" u32)))))
  (import "wasi:filesystem/preopens@0.2.12" (instance $preopens
    (export "get-directories" (func (param "a" u32)))))
  (import "wasi:keyvalue/store@0.2.0-draft2" (instance $keyvalue
    (export "open" (func (param "a" u32)))))
  (import "wasi:clocks/monotonic-clock@0.2.12" (instance $clock
    (export "now" (func (param "a" u32)))))
  (core func $config (canon lower (func $config "get-all")))
  (core func $tcp (canon lower (func $tcp "f")))
  (core func $udp (canon lower (func $udp "f")))
  (core func $preopens (canon lower (func $preopens "get-directories")))
  (core func $clock (canon lower (func $clock "now")))
  (core module $m
    (import "" "config" (func $config (param i32)))
    (import "" "tcp" (func $tcp (param i32)))
    (import "" "udp" (func $udp (param i32)))
    (import "" "preopens" (func $preopens (param i32)))
    (import "" "clock" (func $clock (param i32)))
    (func (export "f")
      (call $config (i32.const 1)) (call $tcp (i32.const 1)) (call $udp (i32.const 1))
      (call $preopens (i32.const 1)) (call $clock (i32.const 1))))
  (core instance $i (instantiate $m (with "" (instance
    (export "config" (func $config)) (export "tcp" (func $tcp)) (export "udp" (func $udp))
    (export "preopens" (func $preopens)) (export "clock" (func $clock))))))
  (func (export "f") (canon lift (core func $i "f"))))
