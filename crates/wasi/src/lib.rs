//! WASI 0.2 for hosts of `trampette-runtime`: the imports of the `wasi:cli/command` world; sockets
//! are refused.
//!
//! The interfaces and their types are those of `wit/`, by way of `bindgen!` (`bindings.rs`); a host
//! serves components that import any 0.2 version of them.
//!
//! [`WasiCtxBuilder`] decides what a guest sees, [`WasiView`] says where a store keeps it, and
//! [`add_to_linker`] registers every interface. All calls are synchronous: what blocks, blocks the
//! thread that runs the guest, until the call is interrupted or its deadline passes.
//!
//! | file | interfaces |
//! | --- | --- |
//! | `cli.rs` | `wasi:cli` |
//! | `io.rs` | `wasi:io` (errors, poll, streams) |
//! | `clocks.rs` | `wasi:clocks` |
//! | `random.rs` | `wasi:random` |
//! | `sockets.rs` | `wasi:sockets`, every use of which fails |
//! | `filesystem.rs`, `descriptor.rs` | `wasi:filesystem`, confined by `cap-std` |
//! | `wait.rs` | whatever waits |

#![cfg_attr(not(test), warn(unreachable_pub))]

mod bindings;
mod budget;
mod cli;
mod clocks;
mod context;
mod descriptor;
mod directory;
mod error_code;
mod filesystem;
mod io;
pub mod p1;
mod paths;
mod random;
mod sockets;
mod stdio;
mod streams;
mod wait;

pub use bindings::wasi::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, OpenFlags,
    PathFlags,
};
pub use bindings::wasi::io::streams::StreamError;
pub use cli::Exit;
pub use context::{WasiCtx, WasiCtxBuilder, WasiView};
pub use descriptor::{Access, Descriptor};
pub use directory::DirectoryEntryStream;
pub use io::{IoError, Pollable};
pub use stdio::{Captured, Input, Output};
pub use streams::{InputStream, OutputStream};

use anyhow::Result;
use trampette_runtime::Linker;

/// Registers every interface.
///
/// # Errors
/// If one is registered already.
pub fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    bindings::Imports::add_to_linker(linker, T::wasi)
}
