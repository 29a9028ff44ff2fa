//! What `bindgen!` makes of the world `wasi:cli/imports`: types, and a trait for every interface
//! and resource, which the other files implement for [`WasiCtx`](crate::WasiCtx).
//!
//! Functions that may fail do so with a type of the host's: a code of the interface, or a trap.
//! Unstable functions are left out.

trampette_bindgen::bindgen!({
    path: "wit",
    world: "wasi:cli/imports@0.3.2",
    features: [],
    with: {
        "wasi:cli/terminal-input/terminal-input": crate::p2::cli::TerminalInput,
        "wasi:cli/terminal-output/terminal-output": crate::p2::cli::TerminalOutput,
        "wasi:filesystem/types/descriptor": crate::p3::filesystem::Open,
        "wasi:sockets/types/tcp-socket": crate::p3::sockets::Tcp,
        "wasi:sockets/types/udp-socket": crate::p3::sockets::Udp,
    },
    trappable: {
        "wasi:filesystem/types/error-code": crate::p3::filesystem::Failure,
        "wasi:sockets/types/error-code": crate::p3::sockets::Failure,
    },
});
