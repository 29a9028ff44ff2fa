//! Loads, instantiates and runs the artifacts that Trampette compiles. No compiler is in here.
//!
//! | room | subject |
//! | --- | --- |
//! | `messages` | how messages name items |
//! | `native` | the Rust forms of native layout |
//! | `memory` | address space: the artifact's file and the memory that instances are made of |
//! | `load` | from the bytes of an artifact to a [`Component`] with its look-up tables |
//! | `machine` | stores, instances, entering and leaving guest code, services |
//! | `values` | component-level values as Rust values |
//! | `host` | linking, instances, calling what they export |
//! | `core` | [`CoreInstance`]: core modules on their own |

// Generated code names this crate by its name; so do the crate's own tests of it.
extern crate self as trampette_runtime;

mod core;
mod host;
mod load;
mod machine;
mod memory;
mod messages;
mod native;
#[cfg(test)]
mod tests;
mod values;

#[doc(hidden)]
pub use values::private as __private;

pub use core::func::CoreFunc;
pub use core::global::CoreGlobal;
pub use core::host::CoreHost;
pub use core::instance::{CoreExtern, CoreInstance};
pub use core::memory::CoreMemory;
pub use core::table::CoreTable;
pub use core::values::CoreVal;
pub use host::func::{Func, TypedFunc};
pub use host::instance::{ExportPath, ExportRef, Instance, InstancePre};
pub use host::linker::{Linker, LinkerInstance};
pub use load::backtrace::{Frame, Trap, WasmBacktrace};
pub use load::component::Component;
pub use load::dwarf::SourceLine;
pub use machine::interrupt::InterruptHandle;
pub use machine::limits::StoreLimits;
pub use machine::store::{AsContext, AsContextMut, Caller, Store, StoreInner};
pub use memory::shared_memory::SharedMemory;
pub use native::{NativeOption, NativeResult, NativeResultPayload, NativeSlice};
pub use trampette_artifact as artifact;
pub use trampette_artifact::metadata::ExportItem;
pub use trampette_artifact::trap::TrapCode;
pub use trampette_macros::{ComponentType, Lift, Lower};
pub use values::containers::List;
pub use values::error_context::ErrorContext;
pub use values::resource::{Resource, ResourceAny};
pub use values::resource_table::{ResourceTable, ResourceTableError};
pub use values::typed::{
    ComponentType, Lift, LiftContext, Lower, LowerContext, Params, ResourceType, TypeContext,
};
pub use values::val::Val;
