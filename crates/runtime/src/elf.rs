//! Finding an artifact's sections.
//!
//! The ELF's own headers have no checksum, so only the identification section (which checks itself) is
//! found through them; every other section's place is taken from there.

use anyhow::{Context, Result, ensure};
use object::read::elf::ElfFile64;
use object::{Architecture, Endianness, Object, ObjectKind, ObjectSection};
use std::collections::BTreeMap;
use std::ops::Range;
use trampette_artifact::header::{Identification, section};

/// A section's place in the file, checked to be inside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Offset of the first byte in the file.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

impl Place {
    /// As a range of indices into the file.
    pub fn file_range(self) -> Range<usize> {
        self.offset as usize..(self.offset + self.length) as usize
    }
}

/// Places by name.
#[derive(Default)]
pub(crate) struct Places(BTreeMap<String, Place>);

impl Places {
    pub fn get(&self, name: &str) -> Option<Place> {
        self.0.get(name).copied()
    }

    pub fn required(&self, name: &str) -> Result<Place> {
        self.get(name)
            .with_context(|| format!("the artifact has no section {name}"))
    }
}

/// What the headers and the identification say.
pub(crate) struct Image {
    pub identification: Identification,
    pub places: Places,
    /// Name, place and expected checksum of each section.
    pub checksums: Vec<(String, Place, u64)>,
}

/// Reads the headers and the identification of an artifact.
pub(crate) fn read(bytes: &[u8]) -> Result<Image> {
    let elf = ElfFile64::<Endianness>::parse(bytes)
        .context("not an artifact of Trampette: no 64-bit ELF file")?;
    ensure!(
        elf.kind() == ObjectKind::Dynamic && elf.architecture() == Architecture::X86_64,
        "not an artifact of Trampette: an ELF file of another kind or for another machine"
    );
    let id = elf
        .section_by_name(section::ID)
        .context("not an artifact of Trampette: it has no identification section")?;
    let id = id.data().context("the artifact's headers are damaged")?;
    let identification = Identification::decode(id)?;

    let mut places = Places::default();
    let mut checksums = Vec::new();
    for section in &identification.sections {
        let place = Place {
            offset: section.offset,
            length: section.length,
        };
        let end = place.offset.checked_add(place.length);
        ensure!(
            end.is_some_and(|end| end <= bytes.len() as u64),
            "the artifact is truncated: section {} ends beyond the file",
            section.name
        );
        checksums.push((section.name.clone(), place, section.checksum));
        places.0.insert(section.name.clone(), place);
    }
    Ok(Image {
        identification,
        places,
        checksums,
    })
}
