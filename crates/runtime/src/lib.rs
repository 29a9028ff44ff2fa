//! Loads, instantiates and runs the artifacts that Trampette compiles. No compiler is in here.
//!
//! | module | subject |
//! | --- | --- |
//! | `component` | [`Component`]: a mapped artifact and its look-up tables |
//! | `elf`, `mapping`, `validate` | finding sections, mapping the file, checking the metadata |
//! | `shared_memory` | [`SharedMemory`]: growing, waiting and notifying between threads |
//! | `slab`, `pagemap` | address space of instances: reserve, map images, grow, pool |
//! | `store`, `limits`, `arena` | [`Store`]: the embedder's data and what instances share |
//! | `instance` | [`RawInstance`]: roots filled, entries called with native-layout structs |
//! | `handles` | handle tables as compiled code sees them |
//! | `builtins`, `transcode` | services that compiled code calls |
//! | `thread` | the call that a thread runs, and how much of its stack guest code may use |
//! | `traps`, `signals` | leaving guest code: raise stub, fault handler, activations |
//! | `interrupt` | [`InterruptHandle`]: stopping a call from another thread |
//! | `backtrace`, `dwarf` | [`Trap`] and [`WasmBacktrace`], source lines |
//! | `linker` | [`Linker`]: what a host offers to components, by name |
//! | `versions`, `typecheck` | matching a component's imports with that, and checking their types |
//! | `host` | host functions as compiled code calls them |
//! | `core` | [`CoreInstance`]: core modules on their own |
//! | `func` | [`Instance`], [`Func`], [`TypedFunc`]: calling what a component exports |
//! | `typed`, `native` | [`Lift`] and [`Lower`]: Rust types as component-level types |
//! | `scalars`, `containers`, `maps` | those traits for Rust's own types |
//! | `derive`, `flags`, `guest_resource` | what generated code for an embedder's own types uses; [`flags!`], [`guest_resource!`] |
//! | `error_context` | [`ErrorContext`] and the messages that a store keeps |
//! | `val` | [`Val`]: any component-level value |
//! | `resource`, `resource_table` | [`Resource`], [`ResourceAny`], [`ResourceTable`] |

// Generated code names this crate by its name; so do the crate's own tests of it.
extern crate self as trampette_runtime;

#[doc(hidden)]
#[path = "derive.rs"]
pub mod __private;
#[cfg(test)]
mod api_tests;
mod arena;
mod backtrace;
mod builtins;
mod component;
mod containers;
mod core;
mod dwarf;
mod elf;
mod error_context;
mod exceptions;
mod flags;
mod func;
mod guest_resource;
mod handles;
mod host;
mod instance;
mod interrupt;
#[cfg(test)]
mod layout_tests;
mod limits;
mod linker;
mod mapping;
mod maps;
mod native;
mod pagemap;
mod resource;
mod resource_table;
mod scalars;
mod shared_memory;
mod signals;
mod slab;
mod store;
mod thread;
mod transcode;
mod traps;
mod typecheck;
mod typed;
mod val;
mod validate;
mod versions;

pub use backtrace::{Frame, SourceLine, Trap, WasmBacktrace};
pub use component::Component;
pub use containers::List;
pub use core::{
    CoreExtern, CoreFunc, CoreGlobal, CoreHost, CoreInstance, CoreMemory, CoreTable, CoreVal,
};
pub use error_context::ErrorContext;
pub use func::{ExportPath, ExportRef, Func, Instance, InstancePre, TypedFunc};
pub use instance::{HostDestructor, HostHandle, HostImports, RawInstance};
pub use interrupt::InterruptHandle;
pub use limits::StoreLimits;
pub use linker::{Linker, LinkerInstance};
pub use native::{NativeOption, NativeResult, NativeResultPayload, NativeSlice};
pub use resource::{Resource, ResourceAny};
pub use resource_table::{ResourceTable, ResourceTableError};
pub use shared_memory::SharedMemory;
pub use store::{AsContext, AsContextMut, Caller, Store, StoreInner};
pub use trampette_artifact as artifact;
pub use trampette_artifact::metadata::ExportItem;
pub use trampette_artifact::trap::TrapCode;
pub use trampette_macros::{ComponentType, Lift, Lower};
pub use typed::{
    ComponentType, Lift, LiftContext, Lower, LowerContext, Params, ResourceType, TypeContext,
};
pub use val::Val;

#[cfg(test)]
mod handmade;
