;; Serves HTTP of WASI 0.2: keeps what it is to answer by, and returns.
(component
  (import "wasi:http/types@0.2.0" (instance $http
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $http "incoming-request" (type $request))
  (alias export $http "response-outparam" (type $answer))
  (core module $m (func (export "handle") (param i32 i32)))
  (core instance $m (instantiate $m))
  (func $handle (param "request" (own $request)) (param "response-out" (own $answer))
    (canon lift (core func $m "handle")))
  (instance (export "wasi:http/incoming-handler@0.2.0") (export "handle" (func $handle))))
