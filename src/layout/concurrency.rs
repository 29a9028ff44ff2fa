//! The asynchronous part: which task each adapter calls, and between which writes and reads
//! elements of streams and futures move by code of their own.

use super::Layout;
use crate::program::{ConcurrentBuiltIn, Program, TaskCaller, TrampolineKind};
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use trampette_artifact::ids::{CopyId, TypeId};
use trampette_artifact::tasks::EndKind;
use trampette_artifact::types::DefinedType;

/// Most pairs of a write and a read with code of their own.
const MOST_PAIRS: usize = 10_000;

/// Fills in what the layout knows of the asynchronous part.
pub(super) fn lay_out(program: &Program<'_>, layout: &mut Layout) -> Result<()> {
    for (task, caller) in program.tasks.iter_with_ids() {
        if let TaskCaller::Adapter(id) = *caller {
            layout.tasks_of_adapters.insert(id, task);
        }
    }
    layout.uses_slots = program.trampolines.iter().any(|trampoline| {
        let TrampolineKind::Concurrent { built_in, .. } = trampoline.kind else {
            return false;
        };
        matches!(
            built_in,
            ConcurrentBuiltIn::ContextGet { .. } | ConcurrentBuiltIn::ContextSet { .. }
        )
    });

    let switching = program.trampolines.iter().filter_map(|trampoline| {
        let TrampolineKind::Concurrent { built_in, options } = &trampoline.kind else {
            return None;
        };
        let names = matches!(
            built_in,
            ConcurrentBuiltIn::ThreadIndex
                | ConcurrentBuiltIn::ThreadNew { .. }
                | ConcurrentBuiltIn::ThreadOperate(_)
        );
        names.then_some(options.instance)
    });
    layout.switches = switching.collect();

    let mut by_type: BTreeMap<TypeId, [Vec<CopyId>; 2]> = BTreeMap::new();
    for (index, copy) in program.copies.iter().enumerate() {
        let (DefinedType::Stream(Some(element)) | DefinedType::Future(Some(element))) =
            program.types[copy.ty]
        else {
            continue;
        };
        if !program.types.facts(element).bitwise {
            let ends = by_type.entry(copy.ty).or_default();
            let end = match copy.end {
                EndKind::Writer => 0,
                EndKind::Reader => 1,
            };
            ends[end].push(CopyId::new(index));
        }
    }
    let pairs = by_type
        .values()
        .map(|[writes, reads]| writes.len() * reads.len());
    let count: usize = pairs.sum();
    ensure!(
        count <= MOST_PAIRS,
        "the component has {count} pairs of a write and a read of the same stream or future type, \
         more than {MOST_PAIRS}"
    );
    let mut pairs: Vec<(CopyId, CopyId)> = Vec::new();
    for [writes, reads] in by_type.values() {
        for write in writes {
            pairs.extend(reads.iter().map(|read| (*write, *read)));
        }
    }
    pairs.sort_unstable();
    layout.copy_pairs = pairs.into();
    Ok(())
}
