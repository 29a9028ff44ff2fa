//! Which component instances can be found unable to leave (`may_leave`, CanonicalABI.md, *Component
//! Instances*).
//!
//! An instance may not leave while one of its `realloc` or `post-return` functions runs on behalf
//! of the Canonical ABI. That can be observed only if such a function reaches a canonical built-in
//! or a lowered import; most are allocators that reach nothing. Where nothing can observe the flag
//! it is neither written nor tested. A call through a sealed table may reach its entries of that
//! type; other indirect calls may reach anything.

use super::{Layout, UnitBinding};
use crate::program::module::{Call, FunctionBody};
use crate::program::{CoreFunc, Program, unit_of};
use std::collections::HashSet;
use trampette_artifact::ids::{ComponentInstanceId, IdVec, SignatureId, TableId};

/// For each component instance, whether code can run in it that would observe `may_leave` cleared.
pub(super) fn observable(
    program: &Program<'_>,
    layout: &Layout,
) -> IdVec<ComponentInstanceId, bool> {
    let mut roots: IdVec<ComponentInstanceId, _> =
        vec![HashSet::new(); program.component_instances.len()].into();
    for options in program.canonical_options() {
        let functions = [options.realloc, options.post_return];
        roots[options.instance].extend(functions.into_iter().flatten());
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
        let callees = layout.units.get(unit_of(instance)).and_then(|unit| {
            let module = program.modules.get(unit.module)?;
            callees(layout, unit, module.bodies.get(index)?)
        });
        let Some(callees) = callees else {
            return true;
        };
        open.extend(callees.into_iter().filter(|callee| seen.insert(*callee)));
    }
    false
}

/// What a body may call; `None` if that cannot be told, or the body not be read.
fn callees(layout: &Layout, unit: &UnitBinding, body: &FunctionBody<'_>) -> Option<Vec<CoreFunc>> {
    let mut callees = Vec::new();
    for call in body.calls.as_deref()? {
        match *call {
            Call::Direct { function } => callees.push(*unit.functions.get(function as usize)?),
            Call::Indirect { table, ty, .. } => {
                let table = *unit.tables.get(table as usize)?;
                let signature = *unit.signatures.get(ty as usize)?;
                callees.extend(callees_through(layout, table, signature)?);
            }
            Call::Reference => return None,
        }
    }
    Some(callees)
}

/// The entries of a table that a call with a signature can reach; `None` if code may write the
/// table.
fn callees_through(
    layout: &Layout,
    table: TableId,
    signature: SignatureId,
) -> Option<impl Iterator<Item = CoreFunc>> {
    let entries = &layout.settled_table(table)?.entries;
    let ids = entries.iter().flatten();
    let fitting = ids.filter(move |id| layout.signature_of(**id) == Some(signature));
    Some(fitting.filter_map(|id| layout.function(*id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::lay_out;
    use crate::layout::testing::TestProgram;
    use crate::program::module::CoreSignature;
    use crate::program::{CanonicalOptions, LiftedFunction, StringEncoding};
    use std::sync::Arc;
    use trampette_artifact::ids::{CoreInstanceId, DefinedFunc};
    use trampette_artifact::key::Intrinsic;
    use trampette_artifact::types::FuncType;

    /// Whether leaving is observable if this is `realloc`, beside a table with a function that
    /// leaves (of type `$leaves`) and one that does not.
    fn is_observable(realloc: &str, other: &str) -> bool {
        let module = format!(
            "(module
                (import \"\" \"leave\" (func $leave (result i64)))
                (type $stays (func))
                (type $leaves (func (param i32)))
                (table $t 2 funcref)
                (func $realloc {realloc})
                (func $stay)
                (func $go (param i32) (drop (call $leave)))
                (func (export \"other\") {other})
                (elem (i32.const 0) func $stay $go))"
        );
        let leave = CoreFunc::Intrinsic(Intrinsic::StoreDataAddress);
        let mut test = TestProgram::with_functions(&[("leave", leave)], &[("m", &module)]);
        let func = CoreFunc::Module(CoreInstanceId(0), DefinedFunc(0));
        test.program.lifts.push(LiftedFunction {
            func,
            signature: CoreSignature::default(),
            ty: Arc::new(FuncType {
                params: Vec::new(),
                result: None,
                is_async: false,
            }),
            options: CanonicalOptions {
                instance: ComponentInstanceId(0),
                encoding: StringEncoding::Utf8,
                memory: None,
                realloc: Some(func),
                post_return: None,
                waiting: crate::program::Waiting::Blocks,
            },
            name: String::new(),
        });
        let layout = lay_out(&test.program).unwrap();
        layout.leaving_is_observable(ComponentInstanceId(0))
    }

    #[test]
    fn calls_through_sealed_tables_reach_entries_of_their_type() {
        assert!(!is_observable("", ""));
        assert!(is_observable("(drop (call $leave))", ""));
        let stays = "(call_indirect (type $stays) (i32.const 0))";
        assert!(!is_observable(stays, ""));
        let leaves = "(call_indirect (type $leaves) (i32.const 0) (i32.const 1))";
        assert!(is_observable(leaves, ""));
        // Who knows what is in the table?
        let writes = "(table.set $t (i32.const 0) (ref.null func))";
        assert!(is_observable(stays, writes));
    }
}
