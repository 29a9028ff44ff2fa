//! [`Artifact`]: a linked ELF file in memory, to be written or loaded.

use crate::options::CompileOptions;
use crate::report::Report;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A compiled component: the bytes of one ELF file.
///
/// ```
/// let wasm = wat::parse_str("(component)")?;
/// let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default())?;
/// println!("{} bytes", artifact.bytes().len());
/// # anyhow::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Artifact {
    bytes: Vec<u8>,
    report: Report,
    /// Only who loads it asks.
    #[cfg_attr(not(feature = "runtime"), allow(dead_code))]
    reach: Reach,
}

/// What the code of an artifact can reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// Its own memories, and what the host offers.
    Sandbox,
    /// All of the host's memory, by unsafe intrinsics.
    Host,
}

impl Reach {
    fn of(options: &CompileOptions) -> Reach {
        match options.unsafe_intrinsics_import {
            None => Reach::Sandbox,
            Some(_) => Reach::Host,
        }
    }
}

impl Artifact {
    /// Wraps a linked file that was compiled with these options.
    pub(crate) fn new(bytes: Vec<u8>, report: Report, options: &CompileOptions) -> Artifact {
        Artifact {
            bytes,
            report,
            reach: Reach::of(options),
        }
    }

    /// Loads what was just compiled, in the same process: the safe sibling of the runtime's
    /// `Component::from_bytes` and `from_file`, which trust bytes of any origin. It needs the
    /// feature `runtime`, which `cli` includes.
    ///
    /// ```
    /// use trampette_runtime::{Linker, Store};
    ///
    /// let wasm = wat::parse_str("(component)")?;
    /// let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default())?;
    /// let component = artifact.load()?;
    /// Linker::new().instantiate(&mut Store::new(()), &component)?;
    /// # anyhow::Ok(())
    /// ```
    ///
    /// # Errors
    /// If it was compiled for another processor than this machine has (a
    /// `trampette_runtime::LoadError`), or with
    /// [`unsafe_intrinsics_import`](CompileOptions::unsafe_intrinsics_import): code that may read
    /// and write any memory is loaded by the unsafe functions only.
    #[cfg(feature = "runtime")]
    pub fn load(&self) -> Result<trampette_runtime::Component> {
        use trampette_runtime::{Component, LoadOptions};
        anyhow::ensure!(
            self.reach == Reach::Sandbox,
            "code that was compiled with unsafe intrinsics is loaded with `Component::from_bytes`"
        );
        // SAFETY: only the compiler makes artifacts, whose bytes nothing changes, and the code that
        // it makes of anything that cannot name an unsafe intrinsic stays in its sandbox.
        Ok(unsafe { Component::from_bytes_with(&self.bytes, &LoadOptions::new()) }?)
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file's bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What compiling it took and did. It is not in the file.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Writes the file: to a temporary one beside it first, which then takes its name, so that
    /// nobody ever sees half of it. What is no regular file (a device, a named pipe) is never
    /// replaced: it is written to.
    ///
    /// # Errors
    /// If the directory cannot be written; nothing stays behind. The message names `path`.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        write_file(path.as_ref(), &self.bytes)
    }
}

/// Writes a file as [`Artifact::write`] does.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || match fs::metadata(path) {
        // Where a link leads, not the link.
        Ok(found) if found.is_file() => replace(&fs::canonicalize(path)?, bytes),
        Ok(found) if found.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        Ok(_) => fill(File::options().write(true).open(path)?, bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => replace(path, bytes),
        Err(error) => Err(error),
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Puts a new file in the place of `path`, if there is one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (temporary, file) = create_beside(path)?;
    let written = fill(file, bytes).and_then(|()| fs::rename(&temporary, path));
    written.inspect_err(|_| {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    })
}

/// A new, empty file in the directory of `path`, under a name that no other process and no other
/// thread of this one takes.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!(".trampette-{}-{number}.tmp", std::process::id());
        let temporary = path.with_file_name(name);
        match File::create_new(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            // Left behind by a process that had this number once.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)
}
