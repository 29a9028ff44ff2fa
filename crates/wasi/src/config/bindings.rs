//! What `bindgen!` makes of `wasi:config/imports`, once for each version: versions before a release
//! are not compatible by their numbers.

pub(super) mod rc {
    trampette_bindgen::bindgen!({
        path: "wit",
        world: "wasi:config/imports@0.2.0-rc.1",
        features: [],
    });
}

pub(super) mod draft {
    trampette_bindgen::bindgen!({
        path: "wit",
        world: "wasi:config/imports@0.2.0-draft",
        features: [],
    });
}
