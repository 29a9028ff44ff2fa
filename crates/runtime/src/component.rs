//! [`Component`]: a mapped artifact.

use anyhow::{Result, bail};
use std::path::Path;
use std::sync::Arc;
use trampette_artifact::metadata::Metadata;

/// A compiled component, mapped and checked. Cheap to clone, shared by threads.
#[derive(Clone)]
pub struct Component(Arc<Metadata>);

impl Component {
    /// Loads an artifact from memory: copies it into a sealed file of its own, verifies every
    /// checksum of that copy, and maps it.
    ///
    /// # Errors
    /// If the artifact is damaged, or was compiled by another version or for another processor.
    pub fn from_bytes(_bytes: &[u8]) -> Result<Component> {
        bail!("not yet")
    }

    /// Loads an artifact from a file in the same way.
    ///
    /// # Errors
    /// As [`Component::from_bytes`], or if the file cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Component> {
        Self::from_bytes(&std::fs::read(path)?)
    }

    /// What the artifact says about itself.
    pub fn metadata(&self) -> &Metadata {
        &self.0
    }

    /// Whether two handles are of the same loaded artifact.
    pub fn same(&self, other: &Component) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
