//! [`CoreGlobal`]: reading and writing globals of an instance.

use crate::core::access::instance_in;
use crate::core::values::{CoreVal, size_of_value};
use crate::machine::instance::{InstanceData, InstanceId};
use crate::machine::store::{AsContext, AsContextMut};
use anyhow::{Result, bail, ensure};
use std::ptr::NonNull;
use trampette_artifact::ids::SlabId;
use trampette_artifact::layout::ValRaw;
use trampette_artifact::metadata::{CoreGlobalPlace, CoreValueType};

/// The address of a global in the context of a slab.
pub(crate) fn address(data: &InstanceData, slab: SlabId, offset: i32) -> NonNull<u8> {
    // SAFETY: inside the context, by the validated metadata.
    unsafe { data.slabs().context(slab).offset(offset as isize) }
}

/// A global of an instance.
///
/// ```
/// # use trampette_runtime::{CoreInstance, CoreVal, Store};
/// # fn use_it(store: &mut Store<()>, instance: &CoreInstance) -> anyhow::Result<()> {
/// let level = instance.get_global(store, "level")?;
/// if level.get(store)? == CoreVal::I32(0) {
///     level.set(store, CoreVal::I32(1))?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreGlobal {
    pub(super) instance: InstanceId,
    pub(super) place: CoreGlobalPlace,
    pub(super) ty: CoreValueType,
    pub(super) mutable: bool,
}

impl CoreGlobal {
    /// Its type.
    pub fn ty(&self) -> CoreValueType {
        self.ty
    }

    /// Its value.
    ///
    /// # Errors
    /// If it is of another store.
    pub fn get(&self, store: &impl AsContext) -> Result<CoreVal> {
        let data = instance_in(self.instance, store.store_inner())?;
        let mut raw = ValRaw { v128: [0; 16] };
        match self.place {
            CoreGlobalPlace::Constant(bytes) => raw.v128 = bytes,
            // SAFETY: the global's bytes are mapped; every bit pattern is valid.
            CoreGlobalPlace::Context { slab, offset } => unsafe {
                let from = address(data, slab, offset).as_ptr();
                from.copy_to_nonoverlapping((&raw mut raw).cast(), size_of_value(self.ty));
            },
        }
        Ok(CoreVal::read(&raw, self.ty))
    }

    /// Writes its value.
    ///
    /// # Errors
    /// If it is immutable, or the value has another type.
    pub fn set(&self, store: &mut impl AsContextMut, value: CoreVal) -> Result<()> {
        let data = instance_in(self.instance, store.store_inner())?;
        ensure!(self.mutable, "the global is immutable");
        let CoreGlobalPlace::Context { slab, offset } = self.place else {
            bail!("the global is a constant");
        };
        let raw = value.write(self.ty, &data.component)?;
        // SAFETY: the global's bytes are mapped, and the store is borrowed exclusively.
        unsafe {
            let to = address(data, slab, offset).as_ptr();
            to.copy_from_nonoverlapping((&raw const raw).cast(), size_of_value(self.ty));
        }
        Ok(())
    }
}
