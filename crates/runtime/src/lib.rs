//! Runs WebAssembly components and core modules that Trampette compiled ahead of time. No compiler
//! is in here: an artifact is one file, which this crate maps, links with what the host offers, and
//! calls.
//!
//! To call a component, load it, link what it imports, instantiate it, and find an export:
//!
//! ```no_run
//! use trampette_runtime::{Component, Linker, Store};
//!
//! # fn main() -> anyhow::Result<()> {
//! // Made by `trampette compile greeter.wasm -o greeter.elf`.
//! // An artifact is native code, which loading trusts (`docs/trust.md`).
//! // SAFETY: the compiler wrote it, and nobody else can write to its folder.
//! let component = unsafe { Component::from_file("greeter.elf")? };
//!
//! // The component imports `log: func(message: string)`.
//! let mut linker = Linker::<Vec<String>>::new();
//! linker.root().func_wrap::<(String,), (), _>("log", |mut caller, (message,)| {
//!     // The message borrows the guest's memory; the caller gives access to the store's data.
//!     caller.data_mut().push(message.to_string());
//!     Ok(())
//! })?;
//!
//! // It exports `greet: func(name: string) -> string`.
//! let mut store = Store::new(Vec::new());
//! let instance = linker.instantiate(&mut store, &component)?;
//! let greet = instance.get_typed_func::<(String,), String>(&mut store, "greet")?;
//! println!("{}", greet.call(&mut store, ("Ada".to_string(),))?);
//! println!("{:?}", store.data());
//! # Ok(()) }
//! ```
//!
//! | what | is |
//! | --- | --- |
//! | [`Component`] | a loaded artifact; make it once and share it, also between threads |
//! | [`Linker`] | what the host offers to components: functions and resource types, by name |
//! | [`Store`] | your data, and everything that lives as long as the instances in it |
//! | [`Instance`] | a component in a store, with its imports supplied |
//! | [`TypedFunc`], [`Func`] | an export, called with Rust types, or with [`Val`]s |
//!
//! What a component imports and exports, [`Component::world`] tells.
//!
//! To instantiate the same component many times, prepare it with [`Linker::instantiate_pre`]. When
//! a call returns an error, [`Trap`] (by `downcast_ref`) says what the guest did; errors of host
//! functions come back as they are, with a [`WasmBacktrace`] as context. [`StoreLimits`] bounds
//! what guests may use. [`Store::set_deadline`] bounds their time, and an [`InterruptHandle`] stops
//! a call from another thread; host functions that wait do so through [`wait`], so that they stop
//! too.
//!
//! # Types
//!
//! Rust's numbers, `bool`, `char`, `String`, `Vec`, `Option`, `Result`, tuples and maps stand for
//! the types of WIT that they resemble. Records, variants and enums are derived; flags are made by
//! [`flags!`]; a resource of the host's is a [`Resource`] whose value lies in a [`ResourceTable`].
//!
//! ```
//! use trampette_runtime::{ComponentType, Lift, Linker, Lower, Resource, ResourceTable};
//!
//! /// `record point { x: u32, y: u32 }`
//! #[derive(ComponentType, Lift, Lower)]
//! #[component(record)]
//! struct Point {
//!     x: u32,
//!     y: u32,
//! }
//!
//! /// What a guest's handles of the resource `canvas` stand for.
//! struct Canvas(Vec<Point>);
//!
//! # fn main() -> anyhow::Result<()> {
//! let mut linker = Linker::<ResourceTable>::new();
//! let mut drawing = linker.instance("example:drawing/canvas@1.0.0")?;
//! drawing.resource::<Canvas>("canvas", |mut caller, rep| {
//!     caller.data_mut().delete(Resource::<Canvas>::new(rep))?;
//!     Ok(())
//! })?;
//! drawing.func_wrap::<(), Resource<Canvas>, _>("new-canvas", |mut caller, ()| {
//!     Ok(caller.data_mut().push(Canvas(Vec::new()))?)
//! })?;
//! drawing.func_wrap::<(Resource<Canvas>, Point), u32, _>("draw", |mut caller, (canvas, point)| {
//!     let canvas = caller.data_mut().get_mut(&canvas)?;
//!     canvas.0.push(point);
//!     Ok(canvas.0.len() as u32)
//! })?;
//! # Ok(()) }
//! ```
//!
//! The package `trampette-bindgen` makes all of this from WIT files; `trampette-wasi` offers WASI.
//!
//! # Core modules
//!
//! A core module on its own, without a component around it, is a [`CoreInstance`], made with a
//! [`CoreHost`] and called with [`CoreVal`]s; [`SharedMemory`] is a memory that several threads
//! use.

#![cfg_attr(not(test), warn(unreachable_pub))]

// Generated code names this crate by its name; so do the crate's own tests of it.
extern crate self as trampette_runtime;

// Rooms, bottom up: imports go downwards only.
mod memory;
mod messages;
mod native;

mod load;

mod machine;

mod concurrent;

mod values;

mod host;

mod core;

#[cfg(test)]
mod tests;

// For embedders.
pub use concurrent::driver::CallOutcome;
pub use concurrent::parties::Progress;
pub use host::calls::Call;
pub use host::export::TypedExport;
pub use host::func::{Func, TypedFunc};
pub use host::instance::{ExportPath, ExportRef, Instance, InstancePre};
pub use host::later::Later;
pub use host::linker::{Linker, LinkerInstance};
pub use host::owned::{Access, AccessMut};
pub use load::backtrace::{Frame, Trap, WasmBacktrace};
pub use load::component::{Component, LoadOptions, Verify};
pub use load::detect::{FileKind, detect, detect_file};
pub use load::dwarf::SourceLine;
pub use load::error::{LoadError, LoadErrorKind};
pub use load::names::Name;
pub use load::report::report;
pub use load::world::{TypeShape, World, WorldFunc, WorldItem, WorldItemKind, WorldType};
pub use machine::accessor::Accessor;
pub use machine::interrupt::InterruptHandle;
pub use machine::limits::{LimitReached, StoreLimits};
pub use machine::store::{AsContext, AsContextMut, Caller, Store};
pub use machine::wait;
pub use trampette_artifact::metadata::{CoreFuncType, CoreValueType, ExportItem};
pub use trampette_artifact::trap::TrapCode;
pub use trampette_macros::{ComponentType, Lift, Lower};
pub use values::containers::List;
pub use values::error_context::ErrorContext;
pub use values::producers::{Items, StreamConsumer, StreamProducer, Window};
pub use values::received::{Collected, Received};
pub use values::relay::{StreamItems, StreamWriter};
pub use values::resource::{Resource, ResourceAny};
pub use values::resource_table::{ResourceTable, ResourceTableError};
pub use values::streams::{FutureAny, FutureReader, StreamAny, StreamReader};
pub use values::typed::{
    ComponentType, Lift, LiftContext, Lower, LowerContext, Params, ResourceType, TypeContext,
};
pub use values::val::Val;

// For embedders who implement `Lift` and `Lower` for a type by hand.
pub use native::{NativeOption, NativeResult, NativeResultPayload, NativeSlice};

// For embedders of core modules.
pub use core::func::CoreFunc;
pub use core::global::CoreGlobal;
pub use core::host::CoreHost;
pub use core::instance::{CoreExtern, CoreInstance};
pub use core::memory::CoreMemory;
pub use core::table::CoreTable;
pub use core::values::CoreVal;
pub use memory::shared_memory::SharedMemory;

// For tests of the runtime from outside.
#[doc(hidden)]
pub use host::testing;

// For generated code.
#[doc(hidden)]
pub use host::later::later as __later;
#[doc(hidden)]
pub use host::owned::{access as __access, access_mut as __access_mut};
#[doc(hidden)]
pub use machine::store::StoreInner;
#[doc(hidden)]
pub use values::private as __private;
