//! Loads, instantiates and runs the artifacts that Trampette compiles. No compiler is in here.
//!
//! | module | subject |
//! | --- | --- |
//! | `component` | [`Component`]: a mapped artifact and its look-up tables |
//! | `registry` | which component a code address belongs to, readable in a signal handler |
//! | `slab` | address space of instances: reserve, map images, grow, pool |
//! | `store`, `limits`, `arena` | [`Store`]: the embedder's data and what instances share |
//! | `instance` | [`RawInstance`]: roots filled, entries called with native-layout structs |
//! | `handles` | handle tables as compiled code sees them |
//! | `builtins`, `transcode` | services that compiled code calls |
//! | `traps`, `signals` | leaving guest code: raise stub, fault handler, activations |
//! | `backtrace` | [`Trap`] and [`WasmBacktrace`] |

mod arena;
mod backtrace;
mod component;
mod instance;
mod limits;
mod store;
mod traps;

pub use backtrace::{Frame, SourceLine, Trap, WasmBacktrace};
pub use component::Component;
pub use instance::{HostDestructor, HostHandle, HostImports, RawInstance};
pub use limits::StoreLimits;
pub use store::{AsContext, AsContextMut, Caller, Store, StoreInner};
pub use trampette_artifact::trap::TrapCode;
