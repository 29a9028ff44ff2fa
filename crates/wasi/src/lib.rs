//! WASI for hosts of `trampette-runtime`: of versions 0.2 and 0.3 the imports of the world
//! `wasi:cli/command`, for components; preview 1 ([`p1`]) for core modules.
//!
//! To run a command, register the interfaces, say what the guest may see, and call `run`:
//!
//! ```no_run
//! use trampette_runtime::{Component, Linker, Store};
//! use trampette_wasi::{Output, WasiCtx, WasiCtxBuilder};
//!
//! # fn main() -> anyhow::Result<()> {
//! // SAFETY: the compiler wrote it, and nobody else can write to its folder.
//! let component = unsafe { Component::from_file("command.elf")? };
//! let mut linker = Linker::<WasiCtx>::new();
//! trampette_wasi::add_to_linker(&mut linker)?;
//! // Whatever the guest prints, up to a mebibyte.
//! let (output, captured) = Output::captured(1 << 20);
//! let wasi = WasiCtxBuilder::new().arg("command").stdout(output).build();
//! let mut store = Store::new(wasi);
//! let instance = linker.instantiate(&mut store, &component)?;
//! let path = ["wasi:cli/run@0.2.0", "run"];
//! let run = instance.get_typed_func::<(), Result<(), ()>>(&mut store, path)?;
//! let succeeded = run.call(&mut store, ())?.is_ok();
//! println!("{succeeded}: {}", String::from_utf8_lossy(&captured.contents()));
//! # Ok(()) }
//! ```
//!
//! [`WasiCtxBuilder`] decides what a guest sees: nothing but what is given to it. [`WasiView`] says
//! where a store keeps that, if its data is more than a [`WasiCtx`]. [`add_to_linker`] registers
//! every interface of 0.2 and 0.3, and [`p1::add_to_host`] every function of preview 1. Calls of
//! 0.2 and preview 1 are synchronous: what blocks, blocks the thread that runs the guest, until the
//! call is interrupted or its deadline passes. Guests of 0.3 wait by a [`Reactor`].
//!
//! A host serves components that import any 0.2 or 0.3 version of the interfaces, whose WIT is in
//! `wit/`.
//! Guests that are core modules of preview 1, without a component around them, are served by
//! [`p1`], which has an example of its own.

// | folder | subject |
// | --- | --- |
// | `common` | what no version owns: what a guest sees, standard streams, files |
// | `p2` | WASI 0.2 |
// | `p3` | WASI 0.3 |
// | `p1` | preview 1 |
// | `http` | `wasi:http` of 0.2 and 0.3 (feature `http`) |
// | `config` | `wasi:config` |
// | `keyvalue` | `wasi:keyvalue` (feature `keyvalue`) |

#![cfg_attr(not(test), warn(unreachable_pub))]

mod common;
pub mod config;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "keyvalue")]
pub mod keyvalue;
pub mod p1;
mod p2;
mod p3;

pub use common::clocks::{MonotonicClock, WallClock};
pub use common::context::{FileWork, WasiCtx, WasiCtxBuilder, WasiView};
pub use common::descriptor::{Access, Descriptor};
pub use common::directory::DirectoryEntryStream;
pub use common::network::policy::{NetworkRefusal, NetworkRule};
pub use common::random::{RandomSource, SeededRandom};
pub use common::reactor::{Interest, Reactor, TokioReactor, Watch};
pub use common::stdio::{Captured, Input, Output};
pub use p2::bindings::wasi::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, OpenFlags,
    PathFlags,
};
pub use p2::bindings::wasi::io::streams::StreamError;
pub use p2::cli::Exit;
pub use p2::io::{IoError, Pollable};
pub use p2::streams::{InputStream, OutputStream};

use anyhow::Result;
use trampette_runtime::Linker;

/// Registers every interface of WASI 0.2 and 0.3.
///
/// ```
/// use trampette_runtime::Linker;
/// use trampette_wasi::WasiCtx;
///
/// let mut linker = Linker::<WasiCtx>::new();
/// trampette_wasi::add_to_linker(&mut linker)?;
/// # anyhow::Ok(())
/// ```
///
/// # Errors
/// If one is registered already.
pub fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    p2::bindings::Imports::add_to_linker(linker, T::wasi)?;
    p3::bindings::Imports::add_to_linker(linker, T::wasi)
}
