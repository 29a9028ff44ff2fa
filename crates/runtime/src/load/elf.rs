//! Finding an artifact's sections.
//!
//! The ELF's own headers have no checksum, so only the identification section (which checks itself)
//! is found through them; every other section's place is taken from there.

use anyhow::{Context, Result, ensure};
use object::read::elf::ElfFile64;
use object::{Architecture, Endianness, Object, ObjectKind, ObjectSection};
use std::ops::Range;
use trampette_artifact::header::{Identification, SectionChecksum, section};

/// What the headers and the identification say.
pub(crate) struct Image(pub Identification);

impl Image {
    /// Name, checked place in the file, and expected checksum of each section.
    pub(crate) fn sections(&self) -> impl Iterator<Item = (&str, Range<usize>, u64)> {
        let sections = self.0.sections.iter();
        sections.map(|section| (section.name.as_str(), file_range(section), section.checksum))
    }

    /// A section's place in the file.
    pub(crate) fn find(&self, name: &str) -> Option<Range<usize>> {
        let section = self.0.sections.iter().find(|section| section.name == name);
        section.map(file_range)
    }

    /// The place of a section that every artifact has.
    pub(crate) fn required(&self, name: &str) -> Result<Range<usize>> {
        self.find(name)
            .with_context(|| format!("the artifact has no section {name}"))
    }
}

/// A checked section's place as a range of indices into the file.
fn file_range(section: &SectionChecksum) -> Range<usize> {
    section.offset as usize..(section.offset + section.length) as usize
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

    for section in &identification.sections {
        let end = section.offset.checked_add(section.length);
        ensure!(
            end.is_some_and(|end| end <= bytes.len() as u64),
            "the artifact is truncated: section {} ends beyond the file",
            section.name
        );
    }
    Ok(Image(identification))
}
