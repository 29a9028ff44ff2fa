//! What a new instance needs from the start, against the store's limits.

use crate::load::component::Component;
use crate::machine::ledger::Amount;
use crate::machine::store::StoreInner;
use crate::memory::shared_memory::SharedMemory;
use crate::memory::slab::memory_bytes;
use anyhow::{Result, ensure};
use trampette_artifact::ids::{MemoryId, SharedMemoryId, SlabId, TableId};
use trampette_artifact::metadata::Memory;

/// Charges for the memories and tables of a new instance; gives the bytes.
pub(super) fn charge_memory(
    store: &StoreInner,
    component: &Component,
    supplied: &[(SharedMemoryId, SharedMemory)],
) -> Result<u64> {
    let metadata = component.metadata();
    let is_supplied = |memory: &&Memory| {
        let id = memory.shared();
        id.is_some_and(|id| supplied.iter().any(|(supplied, _)| *supplied == id))
    };
    let memories = metadata.memories.iter().filter(|it| !is_supplied(it));
    let memories = memories.map(|memory| memory_bytes(memory).unwrap_or(u64::MAX));
    let tables = metadata.tables.iter();
    let tables = tables.map(|table| table.minimum.saturating_mul(size_of::<u32>() as u64));
    let bytes = memories.chain(tables).fold(0, u64::saturating_add);
    let limits = store.limits.get();
    ensure!(
        store.ledger.charge_memory(bytes, &limits),
        "the limit of {} for all memories and tables of a store is reached",
        Amount::Bytes(limits.total_memory_bytes)
    );
    Ok(bytes)
}

/// Checks what the component needs from the start against the store's limits.
pub(super) fn check_limits(store: &StoreInner, component: &Component) -> Result<()> {
    let limits = store.limits.get();
    let metadata = component.metadata();
    ensure!(
        store.instance_count() < limits.instances as usize,
        "the limit of {} instances in a store is reached",
        limits.instances
    );
    // Whatever shares a slab was made for the first unit in it.
    let module = |slab: SlabId| {
        let unit = metadata.units.iter().find(|unit| unit.slab == slab);
        let id = unit.map(|unit| unit.module);
        let name = id.and_then(|id| metadata.modules.get(id));
        match (id, name) {
            (Some(_), Some(module)) if !module.name.is_empty() => format!("`{}`", module.name),
            (Some(id), _) => id.to_string(),
            (None, _) => slab.to_string(),
        }
    };
    for (index, memory) in metadata.memories.iter().enumerate() {
        let bytes = memory_bytes(memory).unwrap_or(u64::MAX);
        let owner = || {
            memory.slab().map_or_else(
                || "several modules".to_string(),
                |slab| format!("core module {}", module(slab)),
            )
        };
        ensure!(
            bytes <= limits.memory_bytes,
            "{} of {}: it starts with {bytes} bytes; the store's limit is {}",
            MemoryId::new(index),
            owner(),
            limits.memory_bytes
        );
    }
    for (index, table) in metadata.tables.iter().enumerate() {
        ensure!(
            table.minimum <= limits.table_entries,
            "{} of core module {}: it starts with {} entries; the store's limit is {}",
            TableId::new(index),
            module(table.slab),
            table.minimum,
            limits.table_entries
        );
    }
    Ok(())
}
