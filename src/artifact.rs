//! [`Artifact`]: a linked ELF file in memory.

use crate::report::Report;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A compiled component: the bytes of one ELF file.
#[derive(Clone, Debug)]
pub struct Artifact {
    bytes: Vec<u8>,
    report: Report,
}

impl Artifact {
    /// Wraps a linked file.
    pub(crate) fn new(bytes: Vec<u8>, report: Report) -> Artifact {
        Artifact { bytes, report }
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
