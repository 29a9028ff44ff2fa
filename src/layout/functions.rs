//! Canonical signatures, of all function types and of the functions that escape.

use super::Layout;
use crate::program::{CoreFunc, Program};
use anyhow::{Context, Result};
use std::collections::HashMap;
use trampette_artifact::ids::SignatureId;

/// Interns every function type of every unit, in order of units and types.
pub(super) fn intern_signatures(program: &Program<'_>, layout: &mut Layout) {
    for unit in &mut layout.units {
        let module = &program.modules[unit.module.index()];
        unit.signatures = layout.signatures.intern_module(module);
    }
}

/// Finds the signature of every function that escapes.
pub(super) fn sign_functions(program: &Program<'_>, layout: &mut Layout) -> Result<()> {
    // Intrinsics and host functions have no type of their own: they have that of their import.
    let mut imported = HashMap::new();
    for unit in &layout.units {
        let module = &program.modules[unit.module.index()];
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
                let unit = &layout.units[instance.index()];
                let module = &program.modules[unit.module.index()];
                let ty = module.functions[(module.imported_functions + index) as usize];
                Ok(unit.signatures[ty as usize])
            }
            CoreFunc::Trampoline(id) => {
                let trampoline = program.trampolines.get(id.index());
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
