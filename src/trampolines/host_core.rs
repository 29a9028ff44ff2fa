//! Wasm caller to a core function of the host: `WasmToArray`.
//!
//! Only lone core modules and scripts import core functions from the host. Parameters and results
//! travel in one array on the stack; the host function and its data come from the import's own
//! slot.

use crate::codegen::emitter::Emitter;
use crate::codegen::values::{Stride, load_values, store_values, value_slots};
use crate::codegen::{self, Session};
use anyhow::{Context, Result};
use cranelift_codegen::ir::{self, InstBuilder, types};
use std::mem::offset_of;
use trampette_artifact::ids::CoreImportId;
use trampette_artifact::key::FuncKey;
use trampette_artifact::layout::{ImportSlot, RootOffset, root};
use trampette_artifact::trap::TrapCode;

/// The wasm-call code of a core import.
///
/// The host function is `extern "C" fn(data, caller, values: *mut ValRaw, len: usize) -> u32`:
/// `data` from [`trampette_artifact::layout::RootLayout::core_import`], `caller` from the root's
/// store; `values` holds the parameters, then the results, and `len` is the larger number of the
/// two. It returns [`trampette_artifact::layout::HOST_OK`] or
/// [`trampette_artifact::layout::HOST_ERROR`].
///
/// # Errors
/// If the program has no such import.
pub(crate) fn wasm_to_array(session: &Session<'_>, import: CoreImportId) -> Result<ir::Function> {
    let key = FuncKey::WasmToArray(import);
    let core = session
        .program
        .core_imports
        .get(import)
        .with_context(|| format!("{key}: the program has no such import"))?;
    let core = &core.signature;
    let signature = codegen::wasm_call_signature(core);
    Emitter::build(session, key, signature, |e, params| {
        let length = core.params.len().max(core.results.len());
        let count = u32::try_from(length).context("function types are limited")?;
        let values = value_slots(e, count, Stride::ARRAY_CALL);
        store_values(e, values, Stride::ARRAY_CALL, &params);

        let slot = session.layout.root.core_import(import);
        let field = |field: usize| RootOffset(slot.0 + field as u32);
        let function = e.load_root(types::I64, field(offset_of!(ImportSlot, function)));
        let data = e.load_root(types::I64, field(offset_of!(ImportSlot, data)));
        let store = e.load_root(types::I64, root::STORE);
        let length = e.i64(length as i64);
        let host = codegen::native_signature(&[types::I64; 4], &[types::I32]);
        let host = e.builder.import_signature(host);
        let args = [data, store, values, length];
        let call = e.builder.ins().call_indirect(host, function, &args);
        let status = e.builder.inst_results(call)[0];
        e.trap_if(status, TrapCode::HostError, None);
        // The host may have run for long.
        let interrupt = e.load_root(types::I32, root::INTERRUPT);
        e.trap_if(interrupt, TrapCode::Interrupt, None);

        let results = load_values(e, values, Stride::ARRAY_CALL, &core.results);
        e.builder.ins().return_(&results);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trampolines::testing::{compile, with_session};

    #[test]
    fn core_imports_compile() {
        with_session(|session| {
            for import in [CoreImportId(0), CoreImportId(1)] {
                let func = wasm_to_array(session, import).unwrap();
                compile(session, &func);
            }
            let error = wasm_to_array(session, CoreImportId(2)).unwrap_err();
            assert!(error.to_string().contains("no such import"), "{error}");
        });
    }
}
