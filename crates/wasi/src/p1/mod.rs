//! WASI preview 1: the imports `wasi_snapshot_preview1`, and its predecessor `wasi_unstable`, of
//! core modules.
//!
//! A preview-1 program is a core module that runs as itself: nothing stands between it and these
//! functions, which read and write its own memory. What they do is what the hosts of WASI 0.2 do:
//! the same [`WasiCtx`](crate::WasiCtx), descriptors, streams and clocks, behind another face.
//!
//! ```no_run
//! use trampette_runtime::{Component, CoreHost, CoreInstance, Store};
//! use trampette_wasi::{Exit, WasiCtx, WasiCtxBuilder, p1};
//!
//! # fn main() -> anyhow::Result<()> {
//! // Made by `trampette compile program.wasm -o program.elf` of a preview-1 module.
//! // SAFETY: the compiler wrote it, and nobody else can write to its folder.
//! let module = unsafe { Component::from_file("program.elf")? };
//! let wasi = WasiCtxBuilder::new().arg("program").inherit_stdio().build();
//! let mut store = Store::new(wasi);
//! let mut host = CoreHost::<WasiCtx>::new();
//! p1::add_to_host(&mut host);
//! let program = CoreInstance::new(&mut store, &module, host)?;
//! match program.get_func(&store, "_start")?.call(&mut store, &[]) {
//!     Ok(_) => println!("it returned"),
//!     Err(error) => match error.downcast_ref() {
//!         Some(Exit(code)) => println!("it exited with {code}"),
//!         None => return Err(error),
//!     },
//! }
//! # Ok(()) }
//! ```
//!
//! # Rules
//!
//! - An address that is not in the module's memory traps. So does a call of a module without one.
//! - Enumerations and flags out of range are `EINVAL`. Offsets, sizes and times are checked: none
//!   of them makes the host panic, or decides how much it allocates.
//! - Paths, names, arguments and the environment are bytes, as the system has them.
//! - Rights are reported, not kept: what a directory allows is what the host gave with it, and a
//!   file does what it was opened for. `fd_fdstat_set_rights` is `ENOTSUP`.
//! - There are no sockets and no signals.

// | file | subject |
// | --- | --- |
// | `guest` | the guest's memory, checked |
// | `errno`, `abi` | numbers and layouts, also those of `wasi_unstable` |
// | `descriptors` | the table of what a guest has open |
// | `files`, `paths` | what is done with descriptors, and with paths below directories |
// | `poll` | waiting |
// | `process` | arguments, environment, clocks, random bytes, exit |
// | `calls` | the functions' names and types |

mod abi;
mod calls;
pub(crate) mod descriptors;
mod errno;
mod files;
mod guest;
mod paths;
mod poll;
mod process;

use crate::common::context::WasiView;
use abi::Version;
use guest::{Args, Failure, Guest};
use trampette_runtime::{Caller, CoreFuncType, CoreHost, CoreVal, CoreValueType, Trap};

/// The names that modules import the functions from.
///
/// ```
/// use trampette_wasi::p1;
///
/// assert_eq!(p1::MODULES, ["wasi_snapshot_preview1", "wasi_unstable"]);
/// ```
pub const MODULES: [&str; 2] = [
    Version::Snapshot1.module_name(),
    Version::Unstable.module_name(),
];

/// Supplies all functions of preview 1 to core modules, under the names of both of its versions.
///
/// ```
/// use trampette_runtime::{CoreHost, CoreVal};
/// use trampette_wasi::{WasiCtx, p1};
///
/// let mut host = CoreHost::<WasiCtx>::new();
/// p1::add_to_host(&mut host);
/// // Beside it the host may supply what else a module imports.
/// host.func("env", "answer", |_caller, _args| Ok(vec![CoreVal::I32(42)]));
/// ```
pub fn add_to_host<T: WasiView>(host: &mut CoreHost<T>) {
    for version in [Version::Snapshot1, Version::Unstable] {
        for (name, params, call) in calls::all::<T>() {
            let ty = CoreFuncType {
                params: calls::types(params),
                results: match name {
                    "proc_exit" => Vec::new(),
                    _ => vec![CoreValueType::I32],
                },
            };
            let returns = !ty.results.is_empty();
            let function = move |caller: Caller<'_, T>, memory, args: &[CoreVal]| {
                let mut guest = Guest::new(caller, memory, version);
                let errno = match call(&mut guest, &mut Args::new(args)) {
                    Ok(()) => 0,
                    Err(Failure::Errno(errno)) => errno.number(),
                    // Whoever ended the wait says so itself.
                    Err(Failure::Trap(error)) if error.is::<Trap>() => return Err(error),
                    Err(Failure::Trap(error)) => {
                        return Err(error.context(format!("in a call of `{name}`")));
                    }
                    Err(Failure::Exit(exit)) => return Err(exit.into()),
                };
                Ok(match returns {
                    true => vec![CoreVal::I32(errno)],
                    false => Vec::new(),
                })
            };
            host.func_with_memory(version.module_name(), name, ty, function);
        }
    }
}
