//! [`Artifact`]: a linked ELF file in memory.

use anyhow::{Context, Result};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A compiled component: the bytes of one ELF file.
#[derive(Clone, Debug)]
pub struct Artifact {
    bytes: Vec<u8>,
}

impl Artifact {
    /// Wraps a linked file.
    pub(crate) fn new(bytes: Vec<u8>) -> Artifact {
        Artifact { bytes }
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file's bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Writes the file: to a temporary one beside it first, which then takes its name, so that
    /// nobody ever sees half of it.
    ///
    /// # Errors
    /// If the directory cannot be written; nothing stays behind.
    pub fn write(&self, path: &Path) -> Result<()> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let write = || -> Result<()> {
            // As any new file: the umask decides, where temporary files are private otherwise.
            let mode = PermissionsExt::from_mode(0o666);
            let mut file = tempfile::Builder::new()
                .permissions(mode)
                .tempfile_in(directory)?;
            file.write_all(&self.bytes)?;
            file.persist(path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}
