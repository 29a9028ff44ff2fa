//! Handle tables as compiled code sees them: arrays of [`HandleEntry`] that the runtime owns and
//! grows, with their heads in slab 0's root. Compiled code takes and frees entries by itself.

use crate::machine::instance::InstanceData;
use crate::machine::store::StoreInner;
use std::cell::{Cell, UnsafeCell};
use trampette_artifact::ids::{ComponentInstanceId, IdVec};
use trampette_artifact::layout::{HandleEntry, HandleTable, InstanceState};
use trampette_artifact::trap::TrapCode;

/// Entries of a table that grows for the first time.
const FIRST_CAPACITY: usize = 16;

/// The most entries that the Canonical ABI lets a table have, entry 0 included
/// (`Table.MAX_LENGTH`).
const MAX_CAPACITY: usize = 1 << 28;

/// The number of entries of a full table of `old` entries after it grows; `None` if it has `limit`
/// handles, or as many as the specification allows.
fn grown_capacity(old: usize, limit: u32) -> Option<usize> {
    // Entry 0 is never handed out.
    let most = (limit as usize).saturating_add(1).min(MAX_CAPACITY);
    let new = (old * 2).max(FIRST_CAPACITY).min(most);
    (new > old.max(1)).then_some(new)
}

/// The entries of an instance's handle tables, by component instance; the last
/// table is the host's.
pub(crate) struct HandleTables {
    tables: IdVec<ComponentInstanceId, Entries>,
}

/// One table. Compiled code reads and writes the entries in place; Rust code only through cells.
#[derive(Default)]
struct Entries(UnsafeCell<Vec<Cell<HandleEntry>>>);

impl HandleTables {
    /// The head of a table without entries.
    pub(crate) const EMPTY: HandleTable = HandleTable {
        entries: align_of::<HandleEntry>() as u64,
        capacity: 0,
        free_head: 0,
    };

    /// `count` empty tables.
    pub(crate) fn new(count: usize) -> HandleTables {
        HandleTables {
            tables: std::iter::repeat_with(Entries::default)
                .take(count)
                .collect(),
        }
    }

    fn entries(&self, table: ComponentInstanceId) -> Option<&[Cell<HandleEntry>]> {
        let entries = self.tables.get(table)?;
        // SAFETY: the vector changes only in `grow`, which no such reference outlives.
        Some(unsafe { &*entries.0.get() })
    }

    /// The entry of a handle; `None` if it is free or beyond the table.
    pub(crate) fn get(&self, table: ComponentInstanceId, handle: u32) -> Option<HandleEntry> {
        let entry = self.entries(table)?.get(handle as usize)?.get();
        (entry.tag & 0xff != HandleEntry::FREE).then_some(entry)
    }

    fn head(&self, instance: &InstanceData, table: ComponentInstanceId) -> *mut HandleTable {
        let offset = instance.component.metadata().root.instance(table);
        let state = instance.root_field::<InstanceState>(offset).as_ptr();
        // SAFETY: inside the root.
        unsafe { &raw mut (*state).handles }
    }

    /// Frees an entry that is in use.
    pub(crate) fn free(&self, instance: &InstanceData, table: ComponentInstanceId, handle: u32) {
        let Some(entry) = self
            .entries(table)
            .and_then(|entries| entries.get(handle as usize))
        else {
            return;
        };
        let head = self.head(instance, table);
        // SAFETY: the head is mapped, and no guest code runs.
        unsafe {
            entry.set(HandleEntry {
                tag: HandleEntry::FREE,
                lends: 0,
                rep: (*head).free_head,
                extra: 0,
            });
            (*head).free_head = handle;
        }
    }

    /// Takes a free entry for something new; its index.
    ///
    /// # Errors
    /// As [`HandleTables::grow`].
    pub(crate) fn add(
        &self,
        instance: &InstanceData,
        store: &StoreInner,
        table: ComponentInstanceId,
        tag: u32,
        rep: u32,
    ) -> Result<u32, TrapCode> {
        let head = self.head(instance, table);
        // SAFETY: the head is mapped, and no guest code runs.
        let is_full = unsafe { (*head).free_head == 0 };
        if is_full {
            self.grow(instance, store, table)?;
        }
        // SAFETY: as above.
        let handle = unsafe { (*head).free_head };
        let entry = self
            .entries(table)
            .and_then(|entries| entries.get(handle as usize))
            .ok_or(TrapCode::HandleTableFull)?;
        // SAFETY: as above; a free entry holds the index of the next one.
        unsafe { (*head).free_head = entry.get().rep };
        entry.set(HandleEntry {
            tag,
            lends: 0,
            rep,
            extra: 0,
        });
        Ok(handle)
    }

    /// Notes which call gave the host a handle: a later handle of the same index is another one.
    pub(crate) fn set_generation(&self, table: ComponentInstanceId, handle: u32, generation: u32) {
        let entry = self
            .entries(table)
            .and_then(|entries| entries.get(handle as usize));
        if let Some(cell) = entry {
            let mut entry = cell.get();
            entry.extra = generation;
            cell.set(entry);
        }
    }

    /// Ends one lend of an entry.
    pub(crate) fn end_lend(&self, table: ComponentInstanceId, handle: u32) {
        let entry = self
            .entries(table)
            .and_then(|entries| entries.get(handle as usize));
        if let Some(cell) = entry {
            let mut entry = cell.get();
            entry.lends = entry.lends.saturating_sub(1);
            cell.set(entry);
        }
    }

    /// Adds free entries to a table that has none.
    ///
    /// # Errors
    /// The limit of the store that is reached; that of handles too if the host has no memory.
    pub(crate) fn grow(
        &self,
        instance: &InstanceData,
        store: &StoreInner,
        table: ComponentInstanceId,
    ) -> Result<(), TrapCode> {
        let Some(entries) = self.tables.get(table) else {
            return Err(TrapCode::HandleTableFull);
        };
        // SAFETY: no reference to the entries is alive: guest code is waiting in this call.
        let entries = unsafe { &mut *entries.0.get() };
        let old = entries.len();
        let limits = store.limits.get();
        let Some(new) = grown_capacity(old, limits.handles) else {
            return Err(TrapCode::HandleTableFull);
        };
        let bytes = (new - old) * size_of::<HandleEntry>();
        if !store.ledger.charge_bookkeeping(bytes as u64, &limits) {
            return Err(TrapCode::BookkeepingLimit);
        }
        if entries.try_reserve_exact(new - old).is_err() {
            return Err(TrapCode::HandleTableFull);
        }
        let first_free = old.max(1);
        let head = self.head(instance, table);
        // SAFETY: the head is mapped, and no guest code runs.
        unsafe {
            for index in old..new {
                let next = match index + 1 {
                    _ if index < first_free => 0,
                    next if next < new => next as u32,
                    _ => (*head).free_head,
                };
                entries.push(Cell::new(HandleEntry {
                    tag: HandleEntry::FREE,
                    lends: 0,
                    rep: next,
                    extra: 0,
                }));
            }
            *head = HandleTable {
                entries: entries.as_ptr() as u64,
                capacity: new as u32,
                free_head: first_free as u32,
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_grow_up_to_the_smaller_limit() {
        assert_eq!(grown_capacity(0, 0), None);
        assert_eq!(grown_capacity(0, 1), Some(2));
        assert_eq!(grown_capacity(2, 1), None);
        assert_eq!(grown_capacity(0, 100), Some(FIRST_CAPACITY));
        assert_eq!(grown_capacity(64, 100), Some(101));
        assert_eq!(grown_capacity(101, 100), None);
        // The specification's limit: indices are below 2^28.
        let half = MAX_CAPACITY / 2;
        assert_eq!(grown_capacity(half, u32::MAX), Some(MAX_CAPACITY));
        assert_eq!(grown_capacity(half + 1, u32::MAX), Some(MAX_CAPACITY));
        assert_eq!(grown_capacity(MAX_CAPACITY, u32::MAX), None);
    }
}
