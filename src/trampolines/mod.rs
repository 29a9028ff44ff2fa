//! Trampolines: code that changes ABI, and the transfer engine that carries values.
//!
//! [`build`] is the one way in: every key that is no core function becomes CLIF here.

pub mod builtins;
pub mod emitter;

                 {key} in {} calls {} of {}",
                "component-to-component calls (fused adapters) are not supported yet: \
                &session.program.component_instances[instance.index()].name
                lift.name,
                name(lift.options.instance)
                name(options.instance),
            )
            bail!(
            crate::intrinsics::intrinsic(session, intrinsic)
            let name = |instance: ComponentInstanceId| {
            };
        .get(id.index())
        .program
        .trampolines
        .with_context(|| format!("{key}: the program has no such trampoline"))?;
        FuncKey::ArrayToWasm(..)
        FuncKey::ArrayToWasm(..) => true,
        FuncKey::Builtin(builtin) => builtins::builtin_trampoline(session, builtin),
        FuncKey::ComponentTrampoline(Abi::Native, _)
        FuncKey::ComponentTrampoline(Abi::Wasm, id) => component_trampoline(session, id),
        FuncKey::ComponentTrampoline(abi, _)
        FuncKey::ExportEntry(Abi::Native, _)
        FuncKey::ExportEntry(Abi::Wasm, id) => export_entry::export_body(session, id),
        FuncKey::ModuleFunction(..) => bail!("{key} is a core function, not a trampoline"),
        FuncKey::ModuleFunction(..) | FuncKey::WasmToArray(_) | FuncKey::Builtin(_) => false,
        FuncKey::PostReturn(Abi::Wasm, id) => export_entry::post_return_body(session, id),
        FuncKey::ResourceDrop(Abi::Wasm, id) => resources::resource_drop_body(session, id),
        FuncKey::Startup(Abi::Wasm, step) => startup::startup_body(session, step),
        FuncKey::UnsafeIntrinsic(Abi::Wasm, intrinsic) => {
        FuncKey::WasmToArray(import) => host_core::wasm_to_array(session, import),
        TrampolineKind::Adapter { lift, options, .. } => {
        TrampolineKind::LowerImport { .. } => lower_import::lower_import(session, id),
        TrampolineKind::ResourceNew { .. }
        | FuncKey::ComponentTrampoline(Abi::Array, _)
        | FuncKey::ExportEntry(Abi::Array, _)
        | FuncKey::ExportEntry(abi, _)
        | FuncKey::PostReturn(Abi::Array, _)
        | FuncKey::PostReturn(Abi::Native, _)
        | FuncKey::PostReturn(abi, _)
        | FuncKey::ResourceDrop(Abi::Array, _) => entry::array_entry(session, key),
        | FuncKey::ResourceDrop(Abi::Native, _)
        | FuncKey::ResourceDrop(abi, _)
        | FuncKey::Startup(Abi::Array, _) => bail!("{key} does not exist in that convention"),
        | FuncKey::Startup(Abi::Native, _) => entry::native_entry(session, key),
        | FuncKey::Startup(abi, _) => abi != Abi::Wasm,
        | FuncKey::UnsafeIntrinsic(Abi::Array, _)
        | FuncKey::UnsafeIntrinsic(Abi::Native, _)
        | FuncKey::UnsafeIntrinsic(abi, _)
        | TrampolineKind::ResourceDrop { .. } => resources::resource_trampoline(session, id),
        | TrampolineKind::ResourceRep { .. }
        }
    let key = FuncKey::ComponentTrampoline(Abi::Wasm, id);
    let trampoline = session
    match &trampoline.kind {
    match key {
    }
#[cfg(test)]
///
/// # Errors
/// If the program has nothing of that key, or what it needs is not supported.
/// The CLIF of any key but a core function's.
/// Whether a key is an entry, which [`entry::verify_entry`] must accept.
fn component_trampoline(session: &Session<'_>, id: TrampolineId) -> Result<ir::Function> {
mod testing;
mod values;
pub fn build(session: &Session<'_>, key: FuncKey) -> Result<ir::Function> {
pub fn is_entry(key: FuncKey) -> bool {
pub mod entry;
pub mod export_entry;
pub mod flags;
pub mod handles;
pub mod host_core;
pub mod lower_import;
pub mod reentrance;
pub mod resources;
pub mod startup;
pub mod transfer;
use anyhow::{Context, Result, bail};
use cranelift_codegen::ir;
use crate::codegen::Session;
use crate::component::program::TrampolineKind;
use trampette_artifact::ids::{ComponentInstanceId, TrampolineId};
use trampette_artifact::key::{Abi, FuncKey};
}
