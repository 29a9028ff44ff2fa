//! Which component instances can be found unable to leave (`may_leave`, CanonicalABI.md, *Component
//! Instances*).
//!
//! An instance may not leave while one of its `realloc` or `post-return` functions runs on behalf of the
//! Canonical ABI. That can be observed only if such a function reaches a canonical built-in or a lowered
//! import; most are allocators that reach nothing. Where nothing can observe the flag it is neither
//! written nor tested. Indirect calls may reach anything.

use super::Layout;
use crate::component::program::{CanonicalOptions, CoreFunc, Program, TrampolineKind};
use std::collections::HashSet;
use wasmparser::Operator;

/// For each component instance, whether code can run in it that would observe `may_leave` cleared.
pub(super) fn observable(program: &Program<'_>, layout: &Layout) -> Vec<bool> {
    let mut roots = vec![HashSet::new(); program.component_instances.len()];
    let mut note = |options: &CanonicalOptions| {
        let functions = [options.realloc, options.post_return];
        roots[options.instance.index()].extend(functions.into_iter().flatten());
    };
    for lift in &program.lifts {
        note(&lift.options);
    }
    for trampoline in &program.trampolines {
        match &trampoline.kind {
            TrampolineKind::LowerImport { options, .. }
            | TrampolineKind::ErrorContext { options, .. } => note(options),
            TrampolineKind::Adapter { lift, options, .. } => {
                note(&lift.options);
                note(options);
            }
            TrampolineKind::ResourceNew { .. }
            | TrampolineKind::ResourceRep { .. }
            | TrampolineKind::ResourceDrop { .. } => {}
        }
    }
    roots
        .into_iter()
        .map(|roots| reaches_a_trampoline(program, layout, roots))
        .collect()
}

/// Whether functions reach a trampoline; yes when that cannot be told.
fn reaches_a_trampoline(program: &Program<'_>, layout: &Layout, roots: HashSet<CoreFunc>) -> bool {
    let mut open: Vec<CoreFunc> = roots.iter().copied().collect();
    let mut seen = roots;
    while let Some(func) = open.pop() {
        let CoreFunc::Module(instance, index) = func else {
            return true;
        };
        let callees = layout.units.get(instance.index()).and_then(|unit| {
            let module = program.modules.get(unit.module.index())?;
            direct_callees(module.bodies.get(index as usize)?, &unit.functions)
        });
        let Some(callees) = callees else {
            return true;
        };
        open.extend(callees.into_iter().filter(|callee| seen.insert(*callee)));
    }
    false
}

/// What a body calls; `None` if it makes other than direct calls, or cannot be read.
fn direct_callees(
    body: &crate::modules::module::FunctionBody<'_>,
    functions: &[CoreFunc],
) -> Option<Vec<CoreFunc>> {
    let mut callees = Vec::new();
    let mut reader = body.body.get_operators_reader().ok()?;
    while !reader.eof() {
        match reader.read().ok()? {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                callees.push(*functions.get(function_index as usize)?);
            }
            Operator::CallIndirect { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::ReturnCallRef { .. } => return None,
            _ => {}
        }
    }
    Some(callees)
}
