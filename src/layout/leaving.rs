//! Which component instances can be found unable to leave (`may_leave`, CanonicalABI.md, *Component
//! Instances*).
//!
//! An instance may not leave while one of its `realloc` or `post-return` functions runs on behalf
//! of the Canonical ABI. That can be observed only if such a function reaches a canonical built-in
//! or a lowered import; most are allocators that reach nothing. Where nothing can observe the flag
//! it is neither written nor tested. A call through a sealed table may reach its entries of that
//! type; other indirect calls may reach anything.

use super::Layout;
use super::callees::{Callee, callees, entries};
use crate::program::{CoreFunc, Program};
use std::collections::HashSet;
use trampette_artifact::ids::{ComponentInstanceId, IdVec};

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
        let Some(callees) = callees(program, layout, func) else {
            return true;
        };
        for callee in callees {
            let reached: Vec<CoreFunc> = match callee {
                Callee::Function(function) => vec![function],
                Callee::Through(table, signature) => match entries(layout, table, signature) {
                    Some(entries) => entries.collect(),
                    None => return true,
                },
            };
            open.extend(
                reached
                    .into_iter()
                    .filter(|function| seen.insert(*function)),
            );
        }
    }
    false
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
