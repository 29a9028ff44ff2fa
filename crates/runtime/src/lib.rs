//! Loads, instantiates and runs the artifacts that Trampette compiles. No compiler is in here.
//!
//! | module | subject |
//! | --- | --- |
//! | `component` | [`Component`]: a mapped artifact and its look-up tables |
//! | `elf`, `mapping`, `validate` | finding sections, mapping the file, checking the metadata |
//! | `slab`, `pagemap` | address space of instances: reserve, map images, grow, pool |
//! | `store`, `limits`, `arena` | [`Store`]: the embedder's data and what instances share |
//! | `instance` | [`RawInstance`]: roots filled, entries called with native-layout structs |
//! | `handles` | handle tables as compiled code sees them |
//! | `builtins`, `transcode` | services that compiled code calls |
//! | `stack` | how much of the thread's stack guest code may use |
//! | `traps`, `signals` | leaving guest code: raise stub, fault handler, activations |
//! | `backtrace`, `dwarf` | [`Trap`] and [`WasmBacktrace`], source lines |

mod arena;
mod backtrace;
mod builtins;
mod component;
mod dwarf;
mod elf;
mod handles;
mod instance;
mod limits;
mod mapping;
mod pagemap;
mod signals;
mod slab;
mod stack;
mod store;
mod transcode;
mod traps;
mod validate;

pub use backtrace::{Frame, SourceLine, Trap, WasmBacktrace};
pub use component::Component;
pub use instance::{HostDestructor, HostHandle, HostImports, RawInstance};
pub use limits::StoreLimits;
pub use store::{AsContext, AsContextMut, Caller, Store, StoreInner};
pub use trampette_artifact::trap::TrapCode;

#[cfg(test)]
mod handmade;
