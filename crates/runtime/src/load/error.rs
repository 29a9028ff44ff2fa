//! [`LoadError`]: why an artifact was not loaded, so that an embedder can decide what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use trampette_artifact::header::IdentificationError;

/// Why an artifact was not loaded.
///
/// [`LoadError::kind`] says what kind of reason it is. What a cache of artifacts asks most often,
/// "is it enough to compile again?", is [`LoadError::is_stale`].
///
/// ```no_run
/// use trampette_runtime::{Component, LoadErrorKind};
///
/// // SAFETY: the compiler wrote it, and nobody else can write to its folder.
/// match unsafe { Component::from_file("cache/plugin.elf") } {
///     Ok(_) => println!("loaded"),
///     Err(error) if error.is_stale() => println!("compile it again: {error}"),
///     Err(error) => match error.kind() {
///         LoadErrorKind::OtherMachine { missing } => println!("this machine lacks {missing}"),
///         _ => println!("{error}"),
///     },
/// }
/// ```
#[derive(Debug)]
pub struct LoadError {
    kind: LoadErrorKind,
    message: String,
    path: Option<PathBuf>,
    source: Option<io::Error>,
}

/// The kinds of reasons why an artifact is not loaded.
///
/// ```
/// use trampette_runtime::{Component, LoadErrorKind};
///
/// let error = Component::check(b"(component)").unwrap_err();
/// assert_eq!(*error.kind(), LoadErrorKind::NotAnArtifact);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LoadErrorKind {
    /// It is something else: a WebAssembly file that was not compiled, an ELF file of another
    /// origin, or no file of any kind that is known here.
    NotAnArtifact,
    /// It is an artifact, but not as it was written.
    Damaged,
    /// It was compiled by another version of Trampette.
    OtherVersion {
        /// The version of its format.
        format: u32,
        /// The compiler's version, if the format is the one that this runtime reads.
        compiler: Option<String>,
    },
    /// It was compiled for another machine than this one.
    OtherMachine {
        /// What this machine lacks: a processor feature, as the standard library's detection spells
        /// it (`avx512f`), or the architecture (`aarch64`).
        missing: String,
    },
    /// The system failed: the file cannot be read, or there is no memory to map it.
    Io,
}

impl LoadError {
    fn new(kind: LoadErrorKind, message: String) -> LoadError {
        LoadError {
            kind,
            message,
            path: None,
            source: None,
        }
    }

    /// Something else than an artifact.
    pub(crate) fn not_an_artifact(what: &str) -> LoadError {
        let message = format!("not an artifact of Trampette: {what}");
        LoadError::new(LoadErrorKind::NotAnArtifact, message)
    }

    /// Not as it was written.
    pub(crate) fn damaged(what: impl fmt::Display) -> LoadError {
        let message = format!("the artifact is damaged: {what}");
        LoadError::new(LoadErrorKind::Damaged, message)
    }

    /// For a machine that has what this one lacks.
    pub(crate) fn other_machine(missing: &str, message: String) -> LoadError {
        let missing = missing.to_string();
        LoadError::new(LoadErrorKind::OtherMachine { missing }, message)
    }

    /// A failure of the system while `what` was done.
    pub(crate) fn io(what: &str, error: io::Error) -> LoadError {
        LoadError {
            source: Some(error),
            ..LoadError::new(LoadErrorKind::Io, what.to_string())
        }
    }

    /// What the rooms below and above say of the system.
    pub(crate) fn system(error: &anyhow::Error) -> LoadError {
        LoadError::new(LoadErrorKind::Io, format!("{error:#}"))
    }

    /// The same, with the file that was to be loaded.
    pub(crate) fn of_file(mut self, path: &Path) -> LoadError {
        self.path = Some(path.to_path_buf());
        self
    }

    /// What kind of reason it is.
    pub fn kind(&self) -> &LoadErrorKind {
        &self.kind
    }

    /// The file that was to be loaded, if it was one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether it is an artifact that only another version, or a machine with another processor,
    /// can load: compiling its component again here helps.
    pub fn is_stale(&self) -> bool {
        matches!(
            self.kind,
            LoadErrorKind::OtherVersion { .. } | LoadErrorKind::OtherMachine { .. }
        )
    }
}

impl From<IdentificationError> for LoadError {
    fn from(error: IdentificationError) -> LoadError {
        let kind = match &error {
            IdentificationError::NotAnArtifact => LoadErrorKind::NotAnArtifact,
            IdentificationError::Damaged(_) => LoadErrorKind::Damaged,
            IdentificationError::FormatVersion(format) => LoadErrorKind::OtherVersion {
                format: *format,
                compiler: None,
            },
            IdentificationError::CompilerVersion(compiler) => LoadErrorKind::OtherVersion {
                format: trampette_artifact::header::FORMAT_VERSION,
                compiler: Some(compiler.clone()),
            },
        };
        LoadError::new(kind, error.to_string())
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "cannot load {}: ", path.display())?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.source.as_ref()?;
        Some(source)
    }
}
