//! What `bindgen!` makes of the world `wasi:keyvalue/imports`.

trampette_bindgen::bindgen!({
    path: "wit",
    world: "wasi:keyvalue/imports@0.2.0-draft2",
    features: [],
    with: {
        "wasi:keyvalue/atomics/cas": crate::keyvalue::Cas,
        "wasi:keyvalue/store/bucket": crate::keyvalue::Bucket,
    },
    trappable: {
        "wasi:keyvalue/atomics/cas-error": crate::keyvalue::CasFailure,
        "wasi:keyvalue/store/error": crate::keyvalue::Failure,
    },
});
