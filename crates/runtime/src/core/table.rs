//! [`CoreTable`]: reading, writing and growing tables of an instance.

use crate::core::access::instance_in;
use crate::core::values::CoreVal;
use crate::machine::instance::{InstanceData, InstanceId};
use crate::machine::services;
use crate::machine::store::{AsContext, AsContextMut, StoreInner};
use anyhow::{Context, Result, ensure};
use std::ptr::NonNull;
use trampette_artifact::ids::TableId;
use trampette_artifact::layout::{TableState, ValRaw};
use trampette_artifact::metadata::{CoreValueType, TableElement};

/// The current length of a table of the artifact, in entries.
pub(crate) fn length(data: &InstanceData, id: TableId) -> u64 {
    let offset = data.component.metadata().root.table(id);
    let state = data.root_field::<TableState>(offset);
    // SAFETY: mapped and initialised.
    unsafe { state.read() }.length
}

/// A table of an instance.
///
/// ```
/// # use trampette_runtime::{CoreInstance, CoreVal, Store};
/// # fn use_it(store: &mut Store<()>, instance: &CoreInstance) -> anyhow::Result<()> {
/// let table = instance.get_table(store, "table")?;
/// if table.len(store)? > 0 {
///     println!("the first entry is {:?}", table.get(store, 0)?);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreTable {
    pub(super) instance: InstanceId,
    pub(super) id: TableId,
}

impl CoreTable {
    /// Its length in entries.
    ///
    /// # Errors
    /// If it is of another store; likewise below.
    pub fn len(&self, store: &impl AsContext) -> Result<u64> {
        let data = instance_in(self.instance, store.store_inner())?;
        Ok(length(data, self.id))
    }

    /// Whether it has no entries.
    ///
    /// # Errors
    /// As [`CoreTable::len`].
    pub fn is_empty(&self, store: &impl AsContext) -> Result<bool> {
        Ok(self.len(store)? == 0)
    }

    fn element_type(&self, data: &InstanceData) -> CoreValueType {
        match data.component.metadata().tables[self.id].element {
            TableElement::Function => CoreValueType::FuncRef,
            TableElement::TypedFunction => CoreValueType::TypedFuncRef,
            TableElement::External => CoreValueType::ExternRef,
            TableElement::Exception => CoreValueType::ExnRef,
        }
    }

    fn entry<'a>(
        &self,
        store: &'a StoreInner,
        index: u64,
    ) -> Result<(&'a InstanceData, NonNull<u32>)> {
        let data = instance_in(self.instance, store)?;
        let length = length(data, self.id);
        ensure!(
            index < length,
            "entry {index} is not in a table of {length} entries"
        );
        let table = &data.component.metadata().tables[self.id];
        // SAFETY: inside the table, which is inside its context.
        let entry = unsafe {
            let entries = data
                .slabs()
                .context(table.slab)
                .offset(table.offset as isize);
            entries.cast::<u32>().add(index as usize)
        };
        Ok((data, entry))
    }

    /// An entry.
    ///
    /// # Errors
    /// If it is out of bounds.
    pub fn get(&self, store: &impl AsContext, index: u64) -> Result<CoreVal> {
        let (data, entry) = self.entry(store.store_inner(), index)?;
        // SAFETY: mapped and aligned.
        let funcref = unsafe { entry.read() };
        let raw = ValRaw { funcref };
        Ok(CoreVal::read(&raw, self.element_type(data)))
    }

    /// Writes an entry. Functions cannot be written from outside unless the table holds functions
    /// of any type.
    ///
    /// # Errors
    /// If it is out of bounds, or the value has another type.
    pub fn set(&self, store: &mut impl AsContextMut, index: u64, value: CoreVal) -> Result<()> {
        let (data, entry) = self.entry(store.store_inner(), index)?;
        let raw = value.write(self.element_type(data), &data.component)?;
        // SAFETY: mapped and aligned; all references are 32 bits.
        unsafe { entry.write(raw.funcref) };
        Ok(())
    }

    /// Makes it longer by `delta` entries of `value`; the length before.
    ///
    /// # Errors
    /// If it cannot grow that far, or the value has another type.
    pub fn grow(&self, store: &mut impl AsContextMut, delta: u64, value: CoreVal) -> Result<u64> {
        let inner = store.store_inner();
        let data = instance_in(self.instance, inner)?;
        let raw = value.write(self.element_type(data), &data.component)?;
        // SAFETY: the value was checked; all references are 32 bits.
        unsafe { services::grow_table(inner, data, self.id, raw.funcref, delta, || ()) }
            .with_context(|| format!("the table cannot grow by {delta} entries"))
    }
}
