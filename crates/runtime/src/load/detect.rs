//! What a file is: [`detect`] and [`detect_file`].
//!
//! Only headers are read, so it costs the same for a file of any size; what they say may still be
//! wrong. For that, see [`Component::check`](crate::Component::check).

use crate::load::elf;
use object::ReadCache;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use trampette_artifact::header;

/// What a file is, by its headers.
///
/// ```
/// use trampette_runtime::{FileKind, detect};
///
/// fn what_to_do(bytes: &[u8]) -> &'static str {
///     match detect(bytes) {
///         kind if kind.is_of_this_version() => "load it",
///         FileKind::Artifact { .. } => "compile its source again",
///         FileKind::Component | FileKind::CoreModule => "compile it",
///         _ => "refuse it",
///     }
/// }
/// assert_eq!(what_to_do(b"\0asm\x0d\0\x01\0"), "compile it");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FileKind {
    /// A component in WebAssembly's binary format, to be compiled.
    Component,
    /// A core module in WebAssembly's binary format, to be compiled.
    CoreModule,
    /// An artifact of Trampette: native code.
    Artifact {
        /// The version of its format; a runtime loads only its own
        /// ([`FileKind::is_of_this_version`]).
        format_version: u32,
    },
    /// An ELF file that Trampette did not make.
    OtherElf,
    /// Nothing of these: component text, for example.
    Unknown,
}

impl FileKind {
    /// Whether it is an artifact in the format that this runtime loads.
    pub fn is_of_this_version(self) -> bool {
        let format_version = header::FORMAT_VERSION;
        self == FileKind::Artifact { format_version }
    }
}

const ELF: &[u8] = b"\x7fELF";
const WASM: &[u8] = b"\0asm";

/// What bytes are.
///
/// ```
/// use trampette_runtime::{FileKind, detect};
///
/// assert_eq!(detect(b"\0asm\x0d\0\x01\0"), FileKind::Component);
/// assert_eq!(detect(b"\0asm\x01\0\0\0"), FileKind::CoreModule);
/// assert_eq!(detect(b"(component)"), FileKind::Unknown);
/// ```
pub fn detect(bytes: &[u8]) -> FileKind {
    of_head(bytes.get(..8).unwrap_or(bytes), || {
        elf::format_version(bytes)
    })
}

/// What a file is.
///
/// ```no_run
/// use trampette_runtime::{FileKind, detect_file};
///
/// if detect_file("plugin.elf")? == FileKind::OtherElf {
///     println!("that is an ordinary program");
/// }
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
/// If it cannot be read.
pub fn detect_file(path: impl AsRef<Path>) -> io::Result<FileKind> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    file.by_ref().take(8).read_to_end(&mut head)?;
    file.rewind()?;
    let cache = ReadCache::new(file);
    Ok(of_head(&head, || elf::format_version(&cache)))
}

/// By the first bytes, and for an ELF file by the version that its identification says.
fn of_head(head: &[u8], version: impl FnOnce() -> Option<u32>) -> FileKind {
    if head.starts_with(ELF) {
        return version().map_or(FileKind::OtherElf, |format_version| FileKind::Artifact {
            format_version,
        });
    }
    match head.strip_prefix(WASM) {
        // The version of the format, then what it encodes.
        Some([_, _, 0, 0]) => FileKind::CoreModule,
        Some([_, _, 1, 0]) => FileKind::Component,
        _ => FileKind::Unknown,
    }
}
