//! WASI 0.3: the imports of the world `wasi:cli/command`. The interfaces and their types are those
//! of `wit/`, by way of `bindgen!`.
//!
//! | file | subject |
//! | --- | --- |
//! | `bindings` | what `bindgen!` makes |
//! | `ends` | streams of bytes, and futures that say how they ended |
//! | `cli` | `wasi:cli` |
//! | `clocks` | `wasi:clocks` |
//! | `random` | `wasi:random` |
//! | `filesystem`, `error_code` | `wasi:filesystem` |

pub(crate) mod bindings;
mod cli;
mod clocks;
mod ends;
mod error_code;
pub(crate) mod filesystem;
mod random;

use crate::common::context::WasiView;
use anyhow::Result;
use bindings::wasi;
use trampette_runtime::Linker;

/// Registers every interface of WASI 0.3 but those of sockets.
///
/// # Errors
/// If one is registered already.
pub(crate) fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    wasi::cli::environment::add_to_linker(linker, T::wasi)?;
    wasi::cli::exit::add_to_linker(linker, T::wasi)?;
    wasi::cli::stdin::add_to_linker(linker, T::wasi)?;
    wasi::cli::stdout::add_to_linker(linker, T::wasi)?;
    wasi::cli::stderr::add_to_linker(linker, T::wasi)?;
    wasi::cli::terminal_input::add_to_linker(linker, T::wasi)?;
    wasi::cli::terminal_output::add_to_linker(linker, T::wasi)?;
    wasi::cli::terminal_stdin::add_to_linker(linker, T::wasi)?;
    wasi::cli::terminal_stdout::add_to_linker(linker, T::wasi)?;
    wasi::cli::terminal_stderr::add_to_linker(linker, T::wasi)?;
    wasi::clocks::monotonic_clock::add_to_linker(linker, T::wasi)?;
    wasi::clocks::system_clock::add_to_linker(linker, T::wasi)?;
    wasi::filesystem::preopens::add_to_linker(linker, T::wasi)?;
    wasi::filesystem::types::add_to_linker(linker, T::wasi)?;
    wasi::random::insecure::add_to_linker(linker, T::wasi)?;
    wasi::random::insecure_seed::add_to_linker(linker, T::wasi)?;
    wasi::random::random::add_to_linker(linker, T::wasi)
}
