//! What `bindgen!` makes of the interfaces of `wasi:http` 0.2 that a host provides.

trampette_bindgen::bindgen!({
    path: "wit",
    interfaces: "
        import wasi:http/types@0.2.12;
        import wasi:http/outgoing-handler@0.2.12;
    ",
    features: [],
    with: {
        "wasi:clocks/monotonic-clock": crate::p2::bindings::wasi::clocks::monotonic_clock,
        "wasi:io/error": crate::p2::bindings::wasi::io::error,
        "wasi:io/poll": crate::p2::bindings::wasi::io::poll,
        "wasi:io/streams": crate::p2::bindings::wasi::io::streams,
        "wasi:http/types/fields": crate::http::fields::Fields,
        "wasi:http/types/future-incoming-response": crate::http::p2::FutureResponse,
        "wasi:http/types/future-trailers": crate::http::p2::FutureTrailers,
        "wasi:http/types/incoming-body": crate::http::p2::IncomingBody,
        "wasi:http/types/incoming-request": crate::http::p2::IncomingRequest,
        "wasi:http/types/incoming-response": crate::http::p2::IncomingResponse,
        "wasi:http/types/outgoing-body": crate::http::p2::OutgoingBody,
        "wasi:http/types/outgoing-request": crate::http::p2::OutgoingRequest,
        "wasi:http/types/outgoing-response": crate::http::p2::OutgoingResponse,
        "wasi:http/types/request-options": crate::http::message::RequestOptions,
        "wasi:http/types/response-outparam": crate::http::p2::Outparam,
    },
    trappable: {
        "wasi:http/types/error-code": crate::http::p2::Failure,
        "wasi:http/types/header-error": crate::http::p2::HeaderFailure,
    },
});
