//! Trampolines: code that changes ABI, and the transfer engine that carries values.
//!
//! [`build`] is the one way in: every key that is no core function becomes CLIF here.
//!
//! | file | subject |
//! | --- | --- |
//! | `lower_import` | a lowered import: a core module calls the host |
//! | `adapter` | a call from one component to another |
//! | `export_entry` | a lifted export: the host calls a component |
//! | `entry` | native-call and array-call wrappers around wasm-call bodies |
//! | `host_core` | core functions of the host, for core modules on their own |
//! | `tasks` | pieces of functions of `async` types, and what calls them |
//! | `concurrent` | built-ins about tasks, waitables, streams and futures |
//! | `cells` | what belongs to the active stack |
//! | `resources` | `resource.new`, `.rep`, `.drop`, and destructors that the host runs |
//! | `error_context` | `error-context.new`, `.debug-message`, `.drop` |
//! | `startup` | the steps of instantiation that cannot be computed beforehand |
//! | `string_route` | strings from one memory to another, out of line |
//! | `builtins` | wasm-call forms of the runtime's services |
//! | `handles` | handle tables: insert, look up, lend, remove |
//! | `borrows` | counts of borrowed handles |
//! | `flags` | `may_leave` |
//! | `transfer` | the engine that carries component-level values |

pub(crate) mod adapter;
pub(crate) mod borrows;
pub(crate) mod builtins;
pub(crate) mod cells;
pub(crate) mod concurrent;
pub(crate) mod entry;
pub(crate) mod error_context;
pub(crate) mod export_entry;
pub(crate) mod flags;
pub(crate) mod handles;
pub(crate) mod host_core;
pub(crate) mod lower_import;
pub(crate) mod resources;
pub(crate) mod startup;
pub(crate) mod string_route;
pub(crate) mod tasks;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod transfer;

pub(crate) use transfer::find_shared_transfers;

use crate::codegen::Session;
use crate::program::{LiftedFunction, TrampolineKind};
use anyhow::{Context, Result, bail};
use cranelift_codegen::ir;
use trampette_artifact::ids::TrampolineId;
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::tasks::CallShape;

/// The CLIF of any key but a core function's.
///
/// # Errors
/// If the program has nothing of that key, or what it needs is not supported.
pub(crate) fn build(session: &Session<'_>, key: FuncKey) -> Result<ir::Function> {
    match key {
        FuncKey::ModuleFunction(..) => bail!("{key} is a core function, not a trampoline"),
        FuncKey::ArrayToWasm(..)
        | FuncKey::ComponentTrampoline(Abi::Array, _)
        | FuncKey::UnsafeIntrinsic(Abi::Array, _)
        | FuncKey::ResourceDrop(Abi::Array, _) => entry::array_entry(session, key),
        FuncKey::ExportEntry(Abi::Native, _)
        | FuncKey::PostReturn(Abi::Native, _)
        | FuncKey::ResourceDrop(Abi::Native, _)
        | FuncKey::Startup(Abi::Native, _)
        | FuncKey::TaskBody(Abi::Native, _)
        | FuncKey::TaskCallback(Abi::Native, _)
        | FuncKey::TaskResult(Abi::Native, _)
        | FuncKey::ElementCopy(Abi::Native, _)
        | FuncKey::ImportResult(Abi::Native, _)
        | FuncKey::ThreadStart(Abi::Native, _) => entry::native_entry(session, key),
        FuncKey::WasmToArray(import) => host_core::wasm_to_array(session, import),
        FuncKey::ComponentTrampoline(Abi::Wasm, id) => component_trampoline(session, id),
        FuncKey::StringRoute(id) => string_route::string_route(session, id),
        FuncKey::SharedTransfer(id) => transfer::shared_transfer(session, id),
        FuncKey::UnsafeIntrinsic(Abi::Wasm, intrinsic) => {
            crate::intrinsics::intrinsic(session, intrinsic)
        }
        FuncKey::ResourceDrop(Abi::Wasm, id) => resources::resource_drop_body(session, id),
        FuncKey::Builtin(builtin) => builtins::builtin_trampoline(session, builtin),
        FuncKey::ExportEntry(Abi::Wasm, id) => export_entry::export_body(session, id),
        FuncKey::PostReturn(Abi::Wasm, id) => export_entry::post_return_body(session, id),
        FuncKey::Startup(Abi::Wasm, step) => startup::startup_body(session, step),
        FuncKey::TaskBody(Abi::Wasm, id) => tasks::task_body(session, id),
        FuncKey::TaskCallback(Abi::Wasm, id) => tasks::task_callback(session, id),
        FuncKey::TaskResult(Abi::Wasm, id) => tasks::task_result(session, id),
        FuncKey::ImportResult(Abi::Wasm, id) => lower_import::import_result(session, id),
        FuncKey::ElementCopy(Abi::Wasm, id) => concurrent::element_copy(session, id),
        FuncKey::ThreadStart(Abi::Wasm, width) => concurrent::thread_start(session, width),
        FuncKey::ThreadStart(Abi::Array, _)
        | FuncKey::TaskBody(Abi::Array, _)
        | FuncKey::TaskCallback(Abi::Array, _)
        | FuncKey::TaskResult(Abi::Array, _)
        | FuncKey::ElementCopy(Abi::Array, _)
        | FuncKey::ImportResult(Abi::Array, _)
        | FuncKey::ComponentTrampoline(Abi::Native, _)
        | FuncKey::UnsafeIntrinsic(Abi::Native, _)
        | FuncKey::ExportEntry(Abi::Array, _)
        | FuncKey::PostReturn(Abi::Array, _)
        | FuncKey::Startup(Abi::Array, _) => bail!("{key} does not exist in that convention"),
    }
}

/// Whether a key is an entry, which [`entry::verify_entry`] must accept.
pub(crate) fn is_entry(key: FuncKey) -> bool {
    match key {
        FuncKey::ArrayToWasm(..) => true,
        FuncKey::ComponentTrampoline(abi, _)
        | FuncKey::UnsafeIntrinsic(abi, _)
        | FuncKey::ResourceDrop(abi, _)
        | FuncKey::ExportEntry(abi, _)
        | FuncKey::PostReturn(abi, _)
        | FuncKey::Startup(abi, _)
        | FuncKey::TaskBody(abi, _)
        | FuncKey::TaskCallback(abi, _)
        | FuncKey::TaskResult(abi, _)
        | FuncKey::ElementCopy(abi, _)
        | FuncKey::ImportResult(abi, _)
        | FuncKey::ThreadStart(abi, _) => abi != Abi::Wasm,
        FuncKey::ModuleFunction(..)
        | FuncKey::WasmToArray(_)
        | FuncKey::StringRoute(_)
        | FuncKey::SharedTransfer(_)
        | FuncKey::Builtin(_) => false,
    }
}

/// How a lifted function is called.
fn shape(session: &Session<'_>, lift: &LiftedFunction) -> CallShape {
    session.layout.effects.shape(&session.program.types, lift)
}

fn component_trampoline(session: &Session<'_>, id: TrampolineId) -> Result<ir::Function> {
    let key = FuncKey::ComponentTrampoline(Abi::Wasm, id);
    let trampoline = session
        .program
        .trampolines
        .get(id)
        .with_context(|| format!("{key}: the program has no such trampoline"))?;
    match &trampoline.kind {
        TrampolineKind::ResourceNew { .. }
        | TrampolineKind::ResourceRep { .. }
        | TrampolineKind::ResourceDrop { .. } => resources::resource_trampoline(session, id),
        TrampolineKind::LowerImport { .. } => lower_import::lower_import(session, id),
        TrampolineKind::Adapter { lift, .. } => match shape(session, lift) != CallShape::Plain {
            true => tasks::task_adapter(session, id),
            false => adapter::adapter(session, id),
        },
        TrampolineKind::Concurrent { .. } => concurrent::concurrent_trampoline(session, id),
        TrampolineKind::ErrorContext { .. } => error_context::error_context_trampoline(session, id),
    }
}
