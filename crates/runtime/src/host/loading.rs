//! Loading artifacts: [`Component::from_bytes`] and its siblings.
//!
//! A loaded component calls the machine's services and relies on its fault handler. Both are
//! fetched here, so that `load` knows neither.

use crate::load::component::{Component, Verify};
use crate::machine::{services, signals};
use crate::memory::mapping::sealed_copy;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;

impl Component {
    /// Loads an artifact from memory: copies it into a sealed file of its own, verifies every
    /// checksum of that copy, and maps it.
    ///
    /// # Errors
    /// If the artifact is damaged, or was compiled by another version or for another processor.
    pub fn from_bytes(bytes: &[u8]) -> Result<Component> {
        let file = sealed_copy(|file| Ok(file.write_all(bytes)?))?;
        Self::load(file, Verify::Everything)
    }

    /// Loads an artifact from a file in the same way: what happens to the file afterwards does not
    /// matter.
    ///
    /// # Errors
    /// As [`Component::from_bytes`], or if the file cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Component> {
        let path = path.as_ref();
        let load = || {
            let mut source = File::open(path)?;
            let file = sealed_copy(|file| {
                std::io::copy(&mut source, file)?;
                Ok(())
            })?;
            Self::load(file, Verify::Everything)
        };
        load().with_context(|| format!("cannot load {}", path.display()))
    }

    /// Maps an artifact's file as it is. Identification and metadata are verified; code, tables and
    /// images are not read, so that the cost does not grow with their size, and processes share
    /// them.
    ///
    /// # Safety
    /// The file was written by Trampette's compiler, and nobody changes or truncates it while the
    /// component or anything made from it lives.
    ///
    /// # Errors
    /// As [`Component::from_file`].
    pub unsafe fn from_file_unchecked(path: impl AsRef<Path>) -> Result<Component> {
        let path = path.as_ref();
        File::open(path)
            .context("cannot open the file")
            .and_then(|file| Self::load(file.into(), Verify::MetadataOnly))
            .with_context(|| format!("cannot load {}", path.display()))
    }

    fn load(file: OwnedFd, verify: Verify) -> Result<Component> {
        let component = Component::map(file, verify, services::page()?)?;
        signals::install()?;
        Ok(component)
    }
}
