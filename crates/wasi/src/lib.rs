//! WASI 0.2 for hosts of `trampette-runtime`: the imports of the `wasi:cli/command` world; sockets are
//! refused.
//!
//! [`WasiCtxBuilder`] decides what a guest sees, [`WasiView`] says where a store keeps it, and
//! [`add_to_linker`] registers every interface. All calls are synchronous: what blocks, blocks the
//! thread that runs the guest.
//!
//! | file | interfaces |
//! | --- | --- |
//! | `cli.rs` | `wasi:cli` |
//! | `io.rs` | `wasi:io` (errors, poll, streams) |
//! | `clocks.rs` | `wasi:clocks` |
//! | `random.rs` | `wasi:random` |
//! | `sockets.rs` | `wasi:sockets`, every use of which fails |
//! | `filesystem.rs`, `descriptor.rs` | `wasi:filesystem`, confined by `cap-std` |

mod cli;
mod clocks;
mod context;
mod descriptor;
mod error_code;
mod filesystem;
mod io;
mod random;
mod sockets;
mod streams;

pub use cli::Exit;
pub use context::{WasiCtx, WasiCtxBuilder, WasiView};
pub use descriptor::{
    Access, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    DirectoryEntryStream, OpenFlags, PathFlags,
};
pub use error_code::ErrorCode;
pub use io::{IoError, Pollable, StreamError};
pub use streams::{InputStream, OutputStream};

use anyhow::Result;
use trampette_runtime::Linker;

/// The version under which the interfaces are registered; later 0.2 versions are compatible.
const VERSION: &str = "0.2.0";

/// The full name of an interface: `wasi:io/streams@0.2.0`.
fn interface(name: &str) -> String {
    format!("wasi:{name}@{VERSION}")
}

/// Registers every interface.
///
/// # Errors
/// If one is registered already.
pub fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    io::add_to_linker(linker)?;
    cli::add_to_linker(linker)?;
    clocks::add_to_linker(linker)?;
    random::add_to_linker(linker)?;
    filesystem::add_to_linker(linker)?;
    sockets::add_to_linker(linker)
}
