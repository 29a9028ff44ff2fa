//! From a key to CLIF: which room makes the function.

use crate::codegen::Session;
use crate::{modules, trampolines};
use anyhow::Result;
use cranelift_codegen::ir;
use trampette_artifact::key::FuncKey;

/// The CLIF of any key, as its producer makes it.
///
/// # Errors
/// If the function is invalid or uses what is not supported.
pub(super) fn build_clif(session: &Session<'_>, key: FuncKey) -> Result<ir::Function> {
    match key {
        FuncKey::ModuleFunction(unit, function) => {
            modules::translate::translate_function(session, unit, function)
        }
        _ => trampolines::build(session, key),
    }
}
