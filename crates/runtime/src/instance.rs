//! [`RawInstance`]: an instance whose exports are called with native-layout structs.

use crate::component::Component;
use crate::store::StoreInner;
use anyhow::{Result, bail};
use std::any::Any;
use std::sync::Arc;
use trampette_artifact::ids::{ExportId, ResourceId};
use trampette_artifact::layout::ImportSlot;

/// The host's destructor of an imported resource: called with the store and the representation when a
/// guest drops its last owned handle.
pub type HostDestructor = Arc<dyn Fn(&StoreInner, u32) -> Result<()> + Send + Sync>;

/// What the host supplies to an instance.
pub struct HostImports {
    /// A function for every [`trampette_artifact::ids::ImportId`].
    pub functions: Vec<ImportSlot>,
    /// Destructors of imported resources, by [`ResourceId`]; `None` where there is none.
    pub destructors: Vec<Option<HostDestructor>>,
    /// Keeps alive what the slots point to.
    pub owner: Arc<dyn Any + Send + Sync>,
}

/// State of an instance that is in a store.
pub(crate) struct InstanceData {}

/// An instance in a store, by number: plain data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawInstance {
    index: u32,
}

/// An entry of the host's handle table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostHandle {
    /// The resource type.
    pub resource: ResourceId,
    /// Its representation in the guest.
    pub rep: u32,
    /// Whether the host owns it, or holds it for the length of a call.
    pub owned: bool,
}

impl RawInstance {
    /// Instantiates a component.
    ///
    /// # Safety
    /// The slots' functions have the native signatures of the component's imports, and take a store
    /// whose data has the type of this one's.
    ///
    /// # Errors
    /// If a limit is exceeded, the host has no memory, or start-up code traps.
    pub unsafe fn new(
        _store: &StoreInner,
        _component: &Component,
        _imports: HostImports,
    ) -> Result<RawInstance> {
        bail!("not yet")
    }

    /// The component it is an instance of.
    pub fn component<'a>(&self, _store: &'a StoreInner) -> &'a Component {
        unimplemented!()
    }

    /// Calls an export. After success, if the export has a post-return, its results are valid and the
    /// instance is locked until [`RawInstance::post_return`].
    ///
    /// # Safety
    /// `args` and `results` point to the native structs of the export's parameters and result, and
    /// what the arguments point to is valid during the call.
    ///
    /// # Errors
    /// A [`crate::Trap`], or the host's own error with a [`crate::WasmBacktrace`] as context.
    pub unsafe fn call_export(
        &self,
        _store: &StoreInner,
        _export: ExportId,
        _args: *const u8,
        _results: *mut u8,
    ) -> Result<()> {
        bail!("not yet")
    }

    /// Ends a call whose export has a post-return, once its results were read.
    ///
    /// # Errors
    /// As [`RawInstance::call_export`].
    pub fn post_return(&self, _store: &StoreInner, _export: ExportId) -> Result<()> {
        bail!("not yet")
    }

    /// Looks up a handle of the host's table.
    pub fn host_handle(&self, _store: &StoreInner, _handle: u32) -> Option<HostHandle> {
        None
    }

    /// Removes a handle from the host's table and, if it was owned and the resource has a destructor,
    /// runs that.
    ///
    /// # Errors
    /// If there is no such handle, it is lent, or the destructor traps.
    pub fn drop_resource(&self, _store: &StoreInner, _handle: u32) -> Result<()> {
        bail!("not yet")
    }
}
