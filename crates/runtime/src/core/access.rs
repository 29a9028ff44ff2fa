//! What everything in this room starts with: the instance behind a number, the interface of an
//! artifact.

use crate::load::component::Component;
use crate::machine::instance::{InstanceData, InstanceId};
use crate::machine::store::StoreInner;
use anyhow::{Context, Result};
use trampette_artifact::metadata::CoreInterface;

/// The interface of an artifact of core modules.
///
/// # Errors
/// If it is a component.
pub(crate) fn interface(component: &Component) -> Result<&CoreInterface> {
    let core = component.metadata().core.as_ref();
    core.context("the artifact is a component, not a core module")
}

/// A core instance.
///
/// # Errors
/// If it is of another store.
pub(crate) fn instance_in(id: InstanceId, store: &StoreInner) -> Result<&InstanceData> {
    let raw = id.raw_in(store);
    let raw = raw.context("the core instance is of another store")?;
    Ok(raw.data(store))
}
