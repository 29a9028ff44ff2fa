//! The identification section `.trampette.id`: what made the artifact, for what, and checksums.
//!
//! The section is `MAGIC`, the length of the body and its XXH3 checksum, then the body (postcard).
//! It is read before anything else, so its framing never changes between versions.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// First bytes of the section.
pub const MAGIC: [u8; 8] = *b"trampet\n";
/// Version of the format; artifacts of any other are refused.
pub const FORMAT_VERSION: u32 = 13;
/// The compiler's version; artifacts of any other are refused.
pub const COMPILER_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Names of the artifact's sections.
pub mod section {
    #![allow(missing_docs)]
    pub const ID: &str = ".trampette.id";
    pub const METADATA: &str = ".trampette.meta";
    pub const FUNCTIONS: &str = ".trampette.functions";
    pub const SITES: &str = ".trampette.sites";
    pub const INLINED: &str = ".trampette.inlined";
    pub const ENTRIES: &str = ".trampette.entries";
    pub const EXCEPTIONS: &str = ".trampette.exceptions";
    pub const CUSTOM: &str = ".trampette.custom";
    pub const WIT: &str = ".trampette.wit";
    pub const WORLD: &str = ".trampette.world";
    pub const IMAGE: &str = ".trampette.image";
    pub const GOT: &str = ".got.trampette";
    pub const FUNCTION_TABLE: &str = ".rodata.functions";
    pub const RODATA: &str = ".rodata";
    pub const TEXT: &str = ".text";
}

/// What made the artifact, for what, and its checksums.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identification {
    /// [`FORMAT_VERSION`] when written.
    pub format_version: u32,
    /// [`COMPILER_VERSION`] when written.
    pub compiler_version: String,
    /// The target, for example `x86_64`.
    pub target: String,
    /// Names of the CPU features that the code needs (`sse4.2`, `avx2`, …), as the standard
    /// library's feature detection spells them.
    pub cpu_features: Vec<String>,
    /// The options that shaped the code, for listings.
    pub options: String,
    /// XXH3-64 of every other section that has contents: name, file offset, length, checksum.
    pub sections: Vec<SectionChecksum>,
}

/// A section's place and checksum.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SectionChecksum {
    /// The section's name.
    pub name: String,
    /// Offset in the file.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// XXH3-64 of the bytes.
    pub checksum: u64,
}

/// XXH3-64, the checksum of sections.
pub fn checksum(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

impl Identification {
    /// The bytes of `.trampette.id`.
    ///
    /// # Errors
    /// If serialisation fails, which only running out of memory causes.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let body = postcard::to_stdvec(self).context("cannot encode the identification")?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend((body.len() as u64).to_le_bytes());
        bytes.extend(checksum(&body).to_le_bytes());
        bytes.extend(body);
        Ok(bytes)
    }

    /// Decodes `.trampette.id` and checks the versions.
    ///
    /// # Errors
    /// If the section is damaged or was written by another version.
    pub fn decode(bytes: &[u8]) -> Result<Identification, IdentificationError> {
        use IdentificationError::*;
        let (body, sum) = body(bytes)?;
        // The version comes first in the body and is checked before the rest, which another version
        // may encode differently.
        let version = version_of_body(body)?;
        if checksum(body) != sum {
            return Err(Damaged("its checksum is wrong"));
        }
        if version != FORMAT_VERSION {
            return Err(FormatVersion(version));
        }
        let id: Identification =
            postcard::from_bytes(body).map_err(|_| Damaged("it cannot be decoded"))?;
        if id.compiler_version != COMPILER_VERSION {
            return Err(CompilerVersion(id.compiler_version));
        }
        Ok(id)
    }
}

/// The format's version that `.trampette.id` says, whatever version that is.
///
/// # Errors
/// If the section is not one of an artifact, or is cut off. Its checksum is not looked at.
pub fn format_version(bytes: &[u8]) -> Result<u32, IdentificationError> {
    version_of_body(body(bytes)?.0)
}

/// The body and its checksum.
fn body(bytes: &[u8]) -> Result<(&[u8], u64), IdentificationError> {
    if bytes.len() < 24 || bytes[..8] != MAGIC {
        return Err(IdentificationError::NotAnArtifact);
    }
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    let length = usize::try_from(number(8)).ok();
    let body = length.and_then(|length| bytes[24..].get(..length));
    let body = body.ok_or(IdentificationError::Damaged("it is truncated"))?;
    Ok((body, number(16)))
}

fn version_of_body(body: &[u8]) -> Result<u32, IdentificationError> {
    let version = postcard::take_from_bytes(body).map(|(version, _)| version);
    version.map_err(|_| IdentificationError::Damaged("it has no version"))
}

/// Why an identification was not accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IdentificationError {
    /// It is something else.
    NotAnArtifact,
    /// It is not what was written; what is wrong with it.
    Damaged(&'static str),
    /// Another version of the format.
    FormatVersion(u32),
    /// Another version of the compiler, with the same format.
    CompilerVersion(String),
}

impl fmt::Display for IdentificationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentificationError::NotAnArtifact => f.write_str("not an artifact of Trampette"),
            IdentificationError::Damaged(what) => {
                write!(f, "the artifact's identification is damaged: {what}")
            }
            IdentificationError::FormatVersion(version) => write!(
                f,
                "the artifact has format version {version}; this runtime reads {FORMAT_VERSION}"
            ),
            IdentificationError::CompilerVersion(version) => write!(
                f,
                "the artifact was compiled by version {version}; this runtime is \
                 {COMPILER_VERSION}"
            ),
        }
    }
}

impl std::error::Error for IdentificationError {}
