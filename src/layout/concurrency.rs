//! The asynchronous part: which task each adapter calls, and between which writes and reads
//! elements of streams and futures move by code of their own: those of different component
//! instances, since within one only numbers may move.

use super::Layout;
use crate::program::{Program, TaskCaller};
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
    let instance = |copy: &CopyId| {
        let copy = program.copies.get_index(copy.index());
        copy.map(|copy| copy.options.instance)
    };
    let mut pairs: Vec<(CopyId, CopyId)> = Vec::new();
    for [writes, reads] in by_type.values() {
        for write in writes {
            let reads = reads
                .iter()
                .filter(|read| instance(write) != instance(read));
            pairs.extend(reads.map(|read| (*write, *read)));
            ensure!(
                pairs.len() <= MOST_PAIRS,
                "the component has more than {MOST_PAIRS} pairs of a write and a read of the same \
                 stream or future type in different component instances"
            );
        }
    }
    pairs.sort_unstable();
    layout.copy_pairs = pairs.into();
    Ok(())
}
