//! [`TypedExport`]: an exported function that was found and checked before there is an instance.

use crate::host::func::{Callee, Prepared, TypedFunc};
use crate::host::instance::{ExportPath, Instance, InstancePre};
use crate::machine::instance::foreign_store;
use crate::machine::store::AsContext;
use crate::messages::display_export;
use crate::values::typed::{Lift, Lower, Params, ResourceType};
use anyhow::{Result, bail};
use std::marker::PhantomData;
use std::sync::Arc;

/// A function that all instances of one [`InstancePre`] export, found by name and checked once. It
/// gives each instance's [`TypedFunc`] without looking anything up, so that a host that makes many
/// instances pays for names and types when it loads a component, and hears of a wrong one then.
///
/// ```
/// # use trampette_runtime::{Component, InstancePre, Linker, Store};
/// # fn serve(component: &Component, linker: &Linker<()>) -> anyhow::Result<()> {
/// let plugin = linker.instantiate_pre(component)?;
/// let add = plugin.typed_export::<(u32, u32), u32>("add")?;
/// for request in 0..1000 {
///     let mut store = Store::new(());
///     let instance = plugin.instantiate(&mut store)?;
///     let sum = add.of(&store, &instance)?.call(&mut store, (request, 1))?;
///     assert_eq!(sum, request + 1);
/// }
/// # Ok(())
/// # }
/// ```
pub struct TypedExport<P, R> {
    shared: Arc<Prepared>,
    /// Among the component's exports.
    index: usize,
    /// What its [`ResourceAny`](crate::ResourceAny)s are, if they are of the host's.
    host_handles: Option<ResourceType>,
    marker: PhantomData<fn(P) -> R>,
}

impl<P, R> Clone for TypedExport<P, R> {
    fn clone(&self) -> Self {
        TypedExport {
            shared: self.shared.clone(),
            index: self.index,
            host_handles: self.host_handles,
            marker: PhantomData,
        }
    }
}

impl<T: 'static> InstancePre<T> {
    /// Finds an exported function and checks its types. Interface names match in compatible
    /// versions.
    ///
    /// # Errors
    /// If there is no such function, or its type is another.
    pub fn typed_export<P, R>(&self, path: impl ExportPath) -> Result<TypedExport<P, R>>
    where
        P: Params + Lower,
        R: Lift,
    {
        let shared = self.prepared();
        let index = shared.find(&path.names())?;
        Ok(TypedExport {
            host_handles: shared.check::<P, R>(index)?,
            shared: shared.clone(),
            index,
            marker: PhantomData,
        })
    }
}

impl<P, R> TypedExport<P, R> {
    /// The function of one instance.
    ///
    /// # Errors
    /// If the instance was not made by the [`InstancePre`] that this is of (or a clone of it), or
    /// is not in this store.
    pub fn of(&self, store: impl AsContext, instance: &Instance) -> Result<TypedFunc<P, R>> {
        let export = &self.shared.component().metadata().exports[self.index];
        if !Arc::ptr_eq(&self.shared, instance.prepared()) {
            bail!(
                "{}: the instance was made by another `InstancePre`",
                display_export(&export.path)
            );
        }
        let store = store.store_inner();
        let Some(raw) = instance.id().raw_in(store) else {
            return Err(foreign_store(|| display_export(&export.path)));
        };
        match Callee::new(instance.id(), raw.data(store), &export.item) {
            Some(callee) => Ok(TypedFunc::new(callee, self.host_handles)),
            None => bail!(
                "{}: the artifact has no code for it",
                display_export(&export.path)
            ),
        }
    }
}
