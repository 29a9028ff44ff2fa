//! Loading artifacts: [`Component::from_file`] and its siblings.
//!
//! A loaded component calls the machine's services and relies on its fault handler. Both are
//! fetched here, so that `load` knows neither.

use crate::concurrent::builtins;
use crate::load::component::{Component, LoadOptions, Verify};
use crate::load::error::LoadError;
use crate::machine::{services, signals};
use crate::memory::mapping::sealed_copy;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;

/// # Loading
///
/// An artifact is native code. Nothing that is checked here can tell code that the compiler made
/// from code that somebody else put in its place, so all of these trust what they are given, and
/// are `unsafe`. `docs/trust.md` says what that means. What was compiled in this process is loaded
/// by `trampette::Artifact::load`, which is safe.
impl Component {
    /// Maps an artifact's file, as it is: neither code nor tables nor images are read before they
    /// are used, so that the cost does not grow with their size, processes share them, and `perf`
    /// and `gdb` find the names of a running guest in the file. Headers, identification and
    /// metadata are checked.
    ///
    /// ```no_run
    /// use trampette_runtime::{Component, LoadErrorKind};
    ///
    /// # fn load(
    /// #     compile_again: impl Fn() -> anyhow::Result<Component>,
    /// # ) -> anyhow::Result<Component> {
    /// // SAFETY: this program's own cache, which `Artifact::write` filled.
    /// let component = match unsafe { Component::from_file("cache/plugin.elf") } {
    ///     Ok(component) => component,
    ///     Err(error) if error.is_stale() => compile_again()?,
    ///     Err(error) => match error.kind() {
    ///         LoadErrorKind::Damaged => compile_again()?,
    ///         _ => return Err(error.into()),
    ///     },
    /// };
    /// # Ok(component) }
    /// ```
    ///
    /// # Safety
    /// The file is what a Trampette compiler wrote, byte for byte, and nobody changes or truncates
    /// it while the component or anything made from it lives. Replacing it by another file of the
    /// same name, which is what `Artifact::write` and `trampette compile` do, is no change of it.
    ///
    /// # Errors
    /// If the file cannot be read, is no artifact or a damaged one, or was compiled by another
    /// version or for another processor: [`LoadError::kind`] says which.
    pub unsafe fn from_file(path: impl AsRef<Path>) -> Result<Component, LoadError> {
        // SAFETY: the caller's promise.
        unsafe { Self::from_file_with(path, &LoadOptions::new()) }
    }

    /// As [`Component::from_file`], with options.
    ///
    /// # Safety
    /// As [`Component::from_file`], also if everything is verified.
    ///
    /// # Errors
    /// As [`Component::from_file`].
    pub unsafe fn from_file_with(
        path: impl AsRef<Path>,
        options: &LoadOptions,
    ) -> Result<Component, LoadError> {
        let path = path.as_ref();
        File::open(path)
            .map_err(|error| LoadError::io("cannot open the file", error))
            .and_then(|file| Self::load(file.into(), options))
            .map_err(|error| error.of_file(path))
    }

    /// Loads an artifact from memory: copies it into a sealed file of its own, and maps that. As
    /// the bytes are read anyway, every checksum is verified.
    ///
    /// # Safety
    /// The bytes are what a Trampette compiler made.
    ///
    /// # Errors
    /// As [`Component::from_file`].
    pub unsafe fn from_bytes(bytes: &[u8]) -> Result<Component, LoadError> {
        // SAFETY: the caller's promise.
        unsafe { Self::from_bytes_with(bytes, &LoadOptions::new().verify(Verify::Everything)) }
    }

    /// As [`Component::from_bytes`], with options.
    ///
    /// # Safety
    /// As [`Component::from_bytes`], also if everything is verified.
    ///
    /// # Errors
    /// As [`Component::from_file`].
    pub unsafe fn from_bytes_with(
        bytes: &[u8],
        options: &LoadOptions,
    ) -> Result<Component, LoadError> {
        let file = sealed_copy(|file| Ok(file.write_all(bytes)?));
        Self::load(file.map_err(|error| LoadError::system(&error))?, options)
    }

    /// Checks bytes as [`Component::from_bytes`] does, without making anything of them that could
    /// run: all checksums, versions, this machine's processor, and that metadata and tables are
    /// consistent. That they pass does not make them safe to load.
    ///
    /// # Errors
    /// As [`Component::from_file`].
    pub fn check(bytes: &[u8]) -> Result<(), LoadError> {
        // SAFETY: code that is mapped but never called does nothing, and what is read of the file
        // while loading is checked.
        unsafe { Self::from_bytes(bytes) }.map(drop)
    }

    fn load(file: OwnedFd, options: &LoadOptions) -> Result<Component, LoadError> {
        let system = |error: anyhow::Error| LoadError::system(&error);
        let page = services::page(builtins::address).map_err(system)?;
        let component = Component::map(file, options, page)?;
        signals::install().map_err(system)?;
        Ok(component)
    }
}
