//! [`CoreFunc`]: calling core functions of an instance.

use crate::core::access::instance_in;
use crate::core::values::CoreVal;
use crate::machine::entry_code::{ArrayEntry, CoreHostEntry};
use crate::machine::failure;
use crate::machine::instance::{InstanceData, InstanceId};
use crate::machine::store::{AsContextMut, StoreInner};
use anyhow::{Context, Result, anyhow, ensure};
use trampette_artifact::ids::CoreImportId;
use trampette_artifact::layout::{HOST_OK, ImportSlot, Status, ValRaw};
use trampette_artifact::metadata::CoreFuncType;

/// A core function of an instance.
///
/// ```
/// # use trampette_runtime::{CoreInstance, CoreVal, Store};
/// # fn call(store: &mut Store<()>, instance: &CoreInstance) -> anyhow::Result<()> {
/// let square = instance.get_func(store, "square")?;
/// assert_eq!(square.ty().to_string(), "(i32) -> (i32)");
/// assert_eq!(square.call(store, &[CoreVal::I32(5)])?, [CoreVal::I32(25)]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct CoreFunc {
    pub(super) instance: InstanceId,
    pub(super) code: Code,
    pub(super) ty: CoreFuncType,
}

/// What a call of a core function runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Code {
    /// Compiled code.
    Compiled(ArrayEntry),
    /// A function of the host that the module imports and exports.
    Host(CoreImportId),
}

impl CoreFunc {
    /// Its type.
    pub fn ty(&self) -> &CoreFuncType {
        &self.ty
    }

    /// Calls the function.
    ///
    /// # Errors
    /// If the arguments do not have the parameters' types, or the call traps: then a
    /// [`crate::Trap`], or a host function's own error with a [`crate::WasmBacktrace`] as context.
    pub fn call(&self, store: &mut impl AsContextMut, args: &[CoreVal]) -> Result<Vec<CoreVal>> {
        let inner = store.store_inner();
        let component = &instance_in(self.instance, inner)?.component;
        ensure!(
            args.len() == self.ty.params.len(),
            "{} arguments are given to a function with {} parameters",
            args.len(),
            self.ty.params.len()
        );
        let values = args.iter().zip(&self.ty.params);
        let values: Result<Vec<ValRaw>> = values.map(|(v, ty)| v.write(*ty, component)).collect();
        let mut values = values?;
        let length = args.len().max(self.ty.results.len());
        values.resize(length, ValRaw { v128: [0; 16] });
        // SAFETY: the values were just made from the parameters' types.
        unsafe { self.call_raw(store, &mut values) }?;
        let results = values.iter().zip(&self.ty.results);
        Ok(results.map(|(raw, ty)| CoreVal::read(raw, *ty)).collect())
    }

    /// Calls the function with raw values: the parameters, replaced by the results.
    ///
    /// # Safety
    /// The values are of the parameters' types, and references among them valid.
    ///
    /// # Errors
    /// If there are fewer values than parameters or results, or as [`CoreFunc::call`].
    pub unsafe fn call_raw(
        &self,
        store: &mut impl AsContextMut,
        values: &mut [ValRaw],
    ) -> Result<()> {
        let inner = store.store_inner();
        let needed = self.ty.params.len().max(self.ty.results.len());
        ensure!(values.len() >= needed, "room for {needed} values is needed");
        let data = instance_in(self.instance, inner)?;
        match self.code {
            Code::Compiled(code) => data.enter(|context| {
                let (first, length) = (values.as_mut_ptr(), values.len());
                // SAFETY: the code is the function's; the caller vouches for the values.
                let success = unsafe { code.call(context, context, first, length) };
                u32::from(!success)
            }),
            Code::Host(import) => {
                // It is a call of the guest's like any other, which can be interrupted.
                let mut status = Ok(HOST_OK);
                let entered = data.enter(|_| {
                    // SAFETY: the caller's promise.
                    status = unsafe { call_slot(inner, data, import, values) };
                    Status::Ok as u32
                });
                match status? {
                    HOST_OK => entered,
                    _ => {
                        let error = failure::take(inner);
                        Err(error.unwrap_or_else(|| anyhow!("a host function failed")))
                    }
                }
            }
        }
    }
}

/// Calls a function of the host through its slot, as compiled code would; gives its status.
///
/// # Safety
/// The values are of the import's type.
unsafe fn call_slot(
    store: &StoreInner,
    data: &InstanceData,
    import: CoreImportId,
    values: &mut [ValRaw],
) -> Result<u32> {
    let slot = data.component.metadata().root.core_import(import);
    // SAFETY: a field of the mapped root, which was filled when the instance was made.
    let slot = unsafe { data.root_field::<ImportSlot>(slot).read() };
    let function = CoreHostEntry::at(slot.function as usize).context("the import is gone")?;
    let host = slot.data as usize as *const u8;
    // SAFETY: the slot's function takes the slot's data; the caller vouches for the values.
    Ok(unsafe { function.call(host, store, values.as_mut_ptr(), values.len()) })
}
