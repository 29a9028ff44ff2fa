;; RUN(1): run %
;; RUN: run --inherit-network %
;; RUN: run --allow-net localhost %
;; RUN(2): run --allow-net http://a %
;; A guest of WASI 0.3 that binds a socket on loopback, and fails if it may not.
(component
  (import "wasi:sockets/types@0.3.0" (instance $sockets
    (type $other (option string))
    (type $code (variant
      (case "access-denied") (case "not-supported") (case "invalid-argument")
      (case "out-of-memory") (case "timeout") (case "invalid-state")
      (case "address-not-bindable") (case "address-in-use") (case "remote-unreachable")
      (case "connection-refused") (case "connection-broken") (case "connection-reset")
      (case "connection-aborted") (case "datagram-too-large") (case "other" $other)))
    (export "error-code" (type $error (eq $code)))
    (type $families (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type $family (eq $families)))
    (type $v4 (tuple u8 u8 u8 u8))
    (type $v6 (tuple u16 u16 u16 u16 u16 u16 u16 u16))
    (type $record4 (record (field "port" u16) (field "address" $v4)))
    (export "ipv4-socket-address" (type $address4 (eq $record4)))
    (type $record6 (record
      (field "port" u16) (field "flow-info" u32) (field "address" $v6) (field "scope-id" u32)))
    (export "ipv6-socket-address" (type $address6 (eq $record6)))
    (type $addresses (variant (case "ipv4" $address4) (case "ipv6" $address6)))
    (export "ip-socket-address" (type $address (eq $addresses)))
    (export "tcp-socket" (type $tcp (sub resource)))
    (export "[static]tcp-socket.create"
      (func (param "address-family" $family) (result (result (own $tcp) (error $error)))))
    (export "[method]tcp-socket.bind"
      (func (param "self" (borrow $tcp)) (param "local-address" $address)
        (result (result (error $error)))))))
  (core module $memory
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $memory (instantiate $memory))
  (core func $create (canon lower (func $sockets "[static]tcp-socket.create")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core func $bind (canon lower (func $sockets "[method]tcp-socket.bind")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core module $m
    (import "" "create" (func $create (param i32 i32)))
    (import "" "bind" (func $bind
      (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "" "memory" (memory 1))
    (func (export "run") (result i32)
      (call $create (i32.const 0) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then (unreachable)))
      ;; 127.0.0.1, any port.
      (call $bind (i32.load (i32.const 4))
        (i32.const 0) (i32.const 0) (i32.const 127) (i32.const 0) (i32.const 0) (i32.const 1)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 32))
      (i32.load8_u (i32.const 32))))
  (core instance $m (instantiate $m (with "" (instance
    (export "create" (func $create))
    (export "bind" (func $bind))
    (export "memory" (memory $memory "memory"))))))
  (func $run async (result (result)) (canon lift (core func $m "run")))
  (instance (export "wasi:cli/run@0.3.0") (export "run" (func $run))))
