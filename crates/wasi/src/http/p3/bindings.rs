//! What `bindgen!` makes of the interfaces of `wasi:http` 0.3 that a host provides.

trampette_bindgen::bindgen!({
    path: "wit",
    interfaces: "
        import wasi:http/types@0.3.2;
        import wasi:http/client@0.3.2;
        import wasi:http/handler@0.3.2;
    ",
    features: [],
    with: {
        "wasi:http/types/fields": crate::http::fields::Fields,
        "wasi:http/types/request": crate::http::p3::Request,
        "wasi:http/types/request-options": crate::http::p3::Options,
        "wasi:http/types/response": crate::http::p3::Response,
    },
    trappable: {
        "wasi:http/types/error-code": crate::http::p3::Failure,
        "wasi:http/types/header-error": crate::http::p3::HeaderFailure,
        "wasi:http/types/request-options-error": crate::http::p3::OptionsFailure,
    },
});
