//! Tables whose contents are known when compiling.

use super::Layout;
use super::consts::Constants;
use super::instantiate::{fits, segment_offset};
use crate::program::module::SegmentMode;
use crate::program::{Program, Step, unit_of};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use trampette_artifact::ids::*;
use trampette_artifact::tables::{FUNCTION_ENTRY_SIZE_LOG2, SEALED_ENTRY_SIZE_LOG2};

/// The contents of a table that only instantiation writes.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct SettledTable {
    /// Whether code may see entries before they are written, which are null until then. (The shim
    /// of every component with a preview 1 adapter has such a table: the adapter has a start
    /// function.)
    pub late: bool,
    /// The functions; `None` is null.
    pub entries: Vec<Option<FunctionId>>,
    /// The signature of all entries that are not null, if it is one.
    pub signature: Option<SignatureId>,
    /// Whether some entry is null.
    pub has_null: bool,
    /// The slab whose context all entries take, if it is one.
    pub home: Option<SlabId>,
}

impl SettledTable {
    /// log2 of the size of an entry in read-only data: without the context if all have the same.
    pub(crate) fn entry_size_log2(&self) -> u32 {
        match self.home {
            Some(_) => SEALED_ENTRY_SIZE_LOG2,
            None => FUNCTION_ENTRY_SIZE_LOG2,
        }
    }
}

/// Fills in the settled tables. Functions have their signatures, and tables no places yet.
///
/// # Errors
/// If the program contradicts itself.
pub(super) fn fill(
    program: &Program<'_>,
    constants: &Constants,
    layout: &mut Layout,
) -> Result<()> {
    let facts = &layout.facts.tables;
    let mut contents: IdVec<TableId, Option<Vec<_>>> = vec![None; facts.len()].into();
    let mut discarded = BTreeSet::new();
    for step in &program.steps {
        let Step::InstantiateCore(id) = *step;
        let (instance, unit) = (&program.core_instances[id], &layout.units[unit_of(id)]);
        let module = &program.modules[unit.module];
        let values = &constants.units[unit_of(id)];
        let declared = &module.tables[module.imported_tables as usize..];
        for ((table, value), declared) in instance.tables.iter().zip(&values.tables).zip(declared) {
            if !facts[*table].changes {
                let length = usize::try_from(declared.ty.initial)?;
                contents[*table] = Some(vec![*value; length]);
            }
        }
        for (index, segment) in module.elements.iter().enumerate() {
            let SegmentMode::Active { index: table, .. } = segment.mode else {
                continue;
            };
            let table = unit.tables[table as usize];
            let Some(contents) = &mut contents[table] else {
                continue;
            };
            let items = &values.elements[index];
            let (_, offset) = segment_offset(values.element_offsets[index].as_ref())?;
            let Some(offset) = offset else {
                // The host has a say in where it goes.
                discarded.insert(table);
                continue;
            };
            // Where one does not fit, instantiation traps before any code sees the table.
            if !fits(offset, items.len(), contents.len() as u64) {
                continue;
            }
            for (entry, item) in contents[offset as usize..].iter_mut().zip(items) {
                // Late tables are null or final, nothing else.
                if facts[table].late && entry.is_some() && *entry != *item {
                    discarded.insert(table);
                }
                *entry = *item;
            }
        }
    }
    let describe = |id: TableId, entries: Vec<Option<FunctionId>>| {
        let mut signatures = BTreeSet::new();
        let mut homes = BTreeSet::new();
        for id in entries.iter().flatten() {
            let func = layout.function(*id).zip(layout.signature_of(*id));
            let (func, signature) = func.with_context(|| format!("there is no {id}"))?;
            signatures.insert(signature);
            homes.insert(layout.home(func));
        }
        let only = |set: &BTreeSet<_>| set.first().copied().filter(|_| set.len() == 1);
        Ok(SettledTable {
            late: facts[id].late,
            has_null: entries.contains(&None),
            signature: only(&signatures),
            home: homes.first().copied().filter(|_| homes.len() == 1),
            entries,
        })
    };
    let ids = contents.ids();
    let tables = ids.zip(contents).map(|(id, entries)| {
        let entries = entries.filter(|_| !discarded.contains(&id));
        entries.map(|entries| describe(id, entries)).transpose()
    });
    layout.settled = tables.collect::<Result<_>>()?;
    Ok(())
}
