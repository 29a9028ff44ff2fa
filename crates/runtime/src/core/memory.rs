//! [`CoreMemory`]: reading, writing and growing linear memories of an instance.

use crate::core::access::instance_in;
use crate::machine::instance::InstanceId;
use crate::machine::services;
use crate::machine::store::{AsContext, AsContextMut, StoreInner};
use crate::memory::shared_memory::SharedMemory;
use anyhow::{Context, Result, ensure};
use std::ptr::NonNull;
use trampette_artifact::ids::MemoryId;

/// A linear memory of an instance.
///
/// ```
/// # use trampette_runtime::{CoreInstance, Store};
/// # fn use_it(store: &mut Store<()>, instance: &CoreInstance) -> anyhow::Result<()> {
/// let memory = instance.get_memory(store, "memory")?;
/// memory.write(store, 1024, b"hello")?;
/// let mut bytes = [0; 5];
/// memory.read(store, 1024, &mut bytes)?;
/// assert_eq!(&bytes, b"hello");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreMemory {
    pub(super) instance: InstanceId,
    pub(super) id: MemoryId,
}

impl CoreMemory {
    /// Its length in bytes.
    ///
    /// # Errors
    /// If it is of another store; likewise below.
    pub fn len(&self, store: &impl AsContext) -> Result<u64> {
        let data = instance_in(self.instance, store.store_inner())?;
        Ok(data.memory_length(self.id))
    }

    /// Whether it has no bytes.
    ///
    /// # Errors
    /// As [`CoreMemory::len`].
    pub fn is_empty(&self, store: &impl AsContext) -> Result<bool> {
        Ok(self.len(store)? == 0)
    }

    /// The address of `length` bytes from `offset`.
    fn range(&self, store: &StoreInner, offset: u64, length: usize) -> Result<NonNull<u8>> {
        let data = instance_in(self.instance, store)?;
        let size = data.memory_length(self.id);
        let end = offset.checked_add(length as u64);
        ensure!(
            end.is_some_and(|end| end <= size),
            "{length} bytes from {offset:#x} are not in a memory of {size:#x} bytes"
        );
        // SAFETY: inside the memory, as was just checked.
        Ok(unsafe { data.memory_base(self.id).add(offset as usize) })
    }

    /// The memory as one that other stores can use; `None` if it was not declared as shared.
    ///
    /// # Errors
    /// If it is of another store.
    pub fn shared(&self, store: &impl AsContext) -> Result<Option<SharedMemory>> {
        let data = instance_in(self.instance, store.store_inner())?;
        Ok(data.shared_memory(self.id).cloned())
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// If they are out of bounds.
    pub fn read(&self, store: &impl AsContext, offset: u64, bytes: &mut [u8]) -> Result<()> {
        if let Some(memory) = self.shared(store)? {
            return memory.read(offset, bytes);
        }
        let from = self.range(store.store_inner(), offset, bytes.len())?;
        // SAFETY: in bounds; no guest code runs meanwhile, since it would borrow the store.
        unsafe {
            from.as_ptr()
                .copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len());
        }
        Ok(())
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// If the place is out of bounds.
    pub fn write(&self, store: &mut impl AsContextMut, offset: u64, bytes: &[u8]) -> Result<()> {
        let data = instance_in(self.instance, store.store_inner())?;
        if let Some(memory) = data.shared_memory(self.id) {
            return memory.write(offset, bytes);
        }
        let to = self.range(store.store_inner(), offset, bytes.len())?;
        // SAFETY: in bounds, and the store is borrowed exclusively.
        unsafe {
            to.as_ptr()
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        Ok(())
    }

    /// Makes it longer by `delta` pages; the length before, in pages.
    ///
    /// # Errors
    /// If it cannot grow that far.
    pub fn grow(&self, store: &mut impl AsContextMut, delta: u64) -> Result<u64> {
        let inner = store.store_inner();
        let data = instance_in(self.instance, inner)?;
        services::grow_memory(inner, data, self.id, delta)
            .with_context(|| format!("the memory cannot grow by {delta} pages"))
    }
}
