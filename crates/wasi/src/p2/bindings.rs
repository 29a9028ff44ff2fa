//! What `bindgen!` makes of the world `wasi:cli/imports`: types, and a trait for every interface
//! and resource, which the other files implement for [`WasiCtx`](crate::WasiCtx).
//!
//! Functions that may fail do so with a type of the host's: a code of the interface, or a trap.
//! Unstable functions are left out.

trampette_bindgen::bindgen!({
    path: "wit",
    world: "wasi:cli/imports@0.2.12",
    features: [],
    with: {
        "wasi:cli/terminal-input/terminal-input": crate::p2::cli::TerminalInput,
        "wasi:cli/terminal-output/terminal-output": crate::p2::cli::TerminalOutput,
        "wasi:filesystem/types/descriptor": crate::common::descriptor::Descriptor,
        "wasi:filesystem/types/directory-entry-stream": crate::common::directory::DirectoryEntryStream,
        "wasi:io/error/error": crate::p2::io::IoError,
        "wasi:io/poll/pollable": crate::p2::io::Pollable,
        "wasi:io/streams/input-stream": crate::p2::streams::InputStream,
        "wasi:io/streams/output-stream": crate::p2::streams::OutputStream,
        "wasi:sockets/ip-name-lookup/resolve-address-stream": crate::p2::sockets::Addresses,
        "wasi:sockets/network/network": crate::p2::sockets::Network,
        "wasi:sockets/tcp/tcp-socket": crate::p2::tcp::Tcp,
        "wasi:sockets/udp/incoming-datagram-stream": crate::p2::udp::Incoming,
        "wasi:sockets/udp/outgoing-datagram-stream": crate::p2::udp::Outgoing,
        "wasi:sockets/udp/udp-socket": crate::p2::udp::Udp,
    },
    waits: [
        "wasi:io/poll/poll",
        "wasi:io/poll/pollable.block",
        "wasi:io/streams/input-stream.blocking-read",
        "wasi:io/streams/input-stream.blocking-skip",
        "wasi:io/streams/output-stream.blocking-write-and-flush",
        "wasi:io/streams/output-stream.blocking-write-zeroes-and-flush",
        "wasi:io/streams/output-stream.blocking-flush",
        "wasi:io/streams/output-stream.blocking-splice",
    ],
    trappable: {
        "wasi:filesystem/types/error-code": crate::p2::filesystem::Failure,
        "wasi:io/streams/stream-error": crate::p2::io::Failure,
        "wasi:sockets/network/error-code": crate::p2::sockets::Failure,
    },
});
