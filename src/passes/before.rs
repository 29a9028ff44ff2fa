//! The passes before Cranelift's optimiser, in their order: what inlining leaves between code of
//! different origins.

use super::forward;
use anyhow::Result;
use cranelift_codegen::ir;
use cranelift_codegen::isa::TargetIsa;

/// Runs the passes over a function that took in others.
///
/// # Errors
/// If Cranelift cannot analyse the function.
pub(crate) fn improve(func: &mut ir::Function, isa: &dyn TargetIsa) -> Result<()> {
    forward::forward_stores(func, isa)
}
