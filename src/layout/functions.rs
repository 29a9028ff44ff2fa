//! Ids of functions, and canonical signatures: of all function types and of the functions that have
//! an id.

use super::Layout;
use crate::program::{CoreFunc, Program, unit_of};
use anyhow::{Context, Result};
use std::collections::HashMap;
use trampette_artifact::ids::{FunctionId, SignatureId};

/// The id of the function at an index of the layout's.
pub(super) fn id_at(index: usize) -> FunctionId {
    FunctionId::new(index + 1)
}

/// The inverse of [`id_at`]; `None` for null.
pub(super) fn index_of(id: FunctionId) -> Option<usize> {
    id.index().checked_sub(1)
}

/// A reference to a function, or null, as 32 bits.
pub(crate) fn reference_bits(id: Option<FunctionId>) -> u32 {
    id.map_or(NULL, |id| id.0)
}

/// The inverse of [`reference_bits`].
pub(super) fn reference_from_bits(bits: u32) -> Option<FunctionId> {
    (bits != NULL).then_some(FunctionId(bits))
}

/// The null reference, and the id of no function.
const NULL: u32 = 0;

/// Interns every function type of every unit, in order of units and types.
pub(super) fn intern_signatures(program: &Program<'_>, layout: &mut Layout) {
    for unit in &mut layout.units {
        let module = &program.modules[unit.module];
        unit.signatures = layout.signatures.intern_module(module);
    }
}

/// Finds the signature of every function that escapes.
pub(super) fn sign_functions(program: &Program<'_>, layout: &mut Layout) -> Result<()> {
    // Intrinsics and host functions have no type of their own: they have that of their import.
    let mut imported = HashMap::new();
    for unit in &layout.units {
        let module = &program.modules[unit.module];
        for (func, ty) in unit.functions.iter().zip(&module.functions) {
            if matches!(func, CoreFunc::Intrinsic(_) | CoreFunc::Host(_)) {
                let signature = unit.signatures.get(*ty as usize);
                imported.insert(*func, *signature.context("a type index is out of range")?);
            }
        }
    }
    let signatures = &mut layout.signatures;
    let ids: Result<Vec<SignatureId>> = layout
        .functions
        .iter()
        .map(|func| match *func {
            CoreFunc::Module(instance, index) => {
                let unit = &layout.units[unit_of(instance)];
                let module = &program.modules[unit.module];
                let ty = module.functions[(module.index_of(index)) as usize];
                Ok(unit.signatures[ty as usize])
            }
            CoreFunc::Trampoline(id) => {
                let trampoline = program.trampolines.get(id);
                let trampoline = trampoline.with_context(|| format!("there is no {id}"))?;
                Ok(signatures.intern(&trampoline.signature))
            }
            CoreFunc::Intrinsic(_) | CoreFunc::Host(_) => imported
                .get(func)
                .copied()
                .with_context(|| format!("{func:?} escapes but nothing imports it")),
        })
        .collect();
    layout.function_signatures = ids?;
    Ok(())
}
