//! The asynchronous part: which task each adapter calls, what the host may do later, and between
//! which writes and reads elements of streams and futures move by code of their own: those of
//! different component instances, since within one only numbers may move; and those of the host, if
//! it can have an end of that type.

use super::Layout;
use crate::program::{Program, TaskCaller, TrampolineKind};
use anyhow::{Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::{CopyId, TypeId};
use trampette_artifact::tasks::{CopyPair, EndKind};
use trampette_artifact::types::{DefinedType, FuncType, Type};

/// Most pairs of a write and a read with code of their own.
const MOST_PAIRS: usize = 10_000;

/// Fills in what the layout knows of the asynchronous part.
pub(super) fn lay_out(program: &Program<'_>, layout: &mut Layout) -> Result<()> {
    for (task, caller) in program.tasks.iter_with_ids() {
        if let TaskCaller::Adapter(id) = *caller {
            layout.tasks_of_adapters.insert(id, task);
        }
    }
    let host_calls = program.trampolines.iter_with_ids();
    let host_calls = host_calls.filter(|(_, trampoline)| match &trampoline.kind {
        TrampolineKind::LowerImport { ty, .. } => ty.is_async,
        _ => false,
    });
    layout.host_calls = host_calls.map(|(id, _)| id).collect();
    let mut by_type: BTreeMap<TypeId, [Vec<CopyId>; 2]> = BTreeMap::new();
    for (index, copy) in program.copies.iter().enumerate() {
        let Some(element) = payload(program, copy.ty) else {
            continue;
        };
        let facts = program.types.facts(element);
        // What pads them is not to leave the host.
        let size = facts.size_align(PointerWidth::P32).size;
        if !facts.bitwise || facts.value_bytes != size {
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
    let exchanged = match by_type.is_empty() {
        true => BTreeSet::new(),
        false => exchanged(program),
    };
    let is_bitwise = |ty: &TypeId| {
        let element = payload(program, *ty);
        element.is_none_or(|element| program.types.facts(element).bitwise)
    };
    let mut pairs: Vec<CopyPair> = Vec::new();
    for (ty, [writes, reads]) in &by_type {
        if exchanged.contains(ty) {
            let (write, read) = (None, None);
            let (reads, writes) = (reads.iter().copied(), writes.iter().copied());
            pairs.extend(reads.map(|id| CopyPair {
                write,
                read: Some(id),
            }));
            pairs.extend(writes.map(|id| CopyPair {
                write: Some(id),
                read,
            }));
        }
        if is_bitwise(ty) {
            continue;
        }
        for write in writes {
            let reads = reads
                .iter()
                .filter(|read| instance(write) != instance(read));
            pairs.extend(reads.map(|read| CopyPair {
                write: Some(*write),
                read: Some(*read),
            }));
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

/// The type of the elements of a stream or future.
fn payload(program: &Program<'_>, ty: TypeId) -> Option<Type> {
    match program.types[ty] {
        DefinedType::Stream(element) | DefinedType::Future(element) => element,
        _ => None,
    }
}

/// The streams and futures of which the host can have an end: those in the types of imports and
/// exports, and in what they carry.
fn exchanged(program: &Program<'_>) -> BTreeSet<TypeId> {
    let imports = program.imports.iter().map(|import| &import.ty);
    let all = imports.chain(program.lifts.iter().map(|lift| &*lift.ty));
    let types = &program.types;
    let with_ends = types.within(all.flat_map(FuncType::values), |contents| contents.ends);
    let ends = with_ends
        .into_iter()
        .filter(|id| matches!(types[*id], DefinedType::Stream(_) | DefinedType::Future(_)));
    ends.collect()
}
