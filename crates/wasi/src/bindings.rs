//! What `bindgen!` makes of the world `wasi:cli/imports`: types, and a trait for every interface
//! and resource, which the other files implement for [`WasiCtx`](crate::WasiCtx).
//!
//! Functions that may fail do so with a type of the host's: a code of the interface, or a trap.
//! Unstable functions are left out, and so is what could only be called on a socket.

trampette_bindgen::bindgen!({
    path: "wit",
    world: "wasi:cli/imports",
    features: [],
    with: {
        "wasi:cli/terminal-input/terminal-input": crate::cli::TerminalInput,
        "wasi:cli/terminal-output/terminal-output": crate::cli::TerminalOutput,
        "wasi:filesystem/types/descriptor": crate::descriptor::Descriptor,
        "wasi:filesystem/types/directory-entry-stream": crate::directory::DirectoryEntryStream,
        "wasi:io/error/error": crate::io::IoError,
        "wasi:io/poll/pollable": crate::io::Pollable,
        "wasi:io/streams/input-stream": crate::streams::InputStream,
        "wasi:io/streams/output-stream": crate::streams::OutputStream,
        "wasi:sockets/ip-name-lookup/resolve-address-stream": !,
        "wasi:sockets/network/network": crate::sockets::Network,
        "wasi:sockets/tcp/tcp-socket": !,
        "wasi:sockets/udp/incoming-datagram-stream": !,
        "wasi:sockets/udp/outgoing-datagram-stream": !,
        "wasi:sockets/udp/udp-socket": !,
    },
    trappable: {
        "wasi:filesystem/types/error-code": crate::filesystem::Failure,
        "wasi:io/streams/stream-error": crate::io::Failure,
    },
});
