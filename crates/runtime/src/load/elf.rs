//! Finding an artifact's sections.
//!
//! The ELF's own headers have no checksum, so only the identification section (which checks itself)
//! is found through them; every other section's place is taken from there.

use crate::load::error::LoadError;
use object::elf::{EM_X86_64, ET_DYN, FileHeader64};
use object::read::elf::{FileHeader, SectionHeader};
use object::{LittleEndian, ReadRef};
use std::ops::Range;
use trampette_artifact::header::{self, Identification, SectionChecksum, section};

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
    pub(crate) fn required(&self, name: &str) -> Result<Range<usize>, LoadError> {
        self.find(name)
            .ok_or_else(|| LoadError::damaged(format_args!("it has no section {name}")))
    }
}

/// A checked section's place as a range of indices into the file.
fn file_range(section: &SectionChecksum) -> Range<usize> {
    section.offset as usize..(section.offset + section.length) as usize
}

/// Reads the headers and the identification of an artifact.
pub(crate) fn read(bytes: &[u8]) -> Result<Image, LoadError> {
    let id = identification(bytes).map_err(|found| match found {
        Unidentified::Other(what) => LoadError::not_an_artifact(what),
        Unidentified::Damaged(what) => LoadError::damaged(what),
    })?;
    let identification = Identification::decode(id)?;

    for section in &identification.sections {
        let end = section.offset.checked_add(section.length);
        if end.is_none_or(|end| end > bytes.len() as u64) {
            return Err(LoadError::damaged(format_args!(
                "it is truncated: section {} ends beyond the file",
                section.name
            )));
        }
    }
    Ok(Image(identification))
}

/// The version of the format of an artifact; `None` for another ELF file.
pub(crate) fn format_version<'data>(data: impl ReadRef<'data>) -> Option<u32> {
    header::format_version(identification(data).ok()?).ok()
}

/// Why a file has no identification.
enum Unidentified {
    /// It is something else: this.
    Other(&'static str),
    /// It may be an artifact that was cut off or overwritten.
    Damaged(&'static str),
}

/// The contents of the identification section.
fn identification<'data, R: ReadRef<'data>>(data: R) -> Result<&'data [u8], Unidentified> {
    use Unidentified::{Damaged, Other};
    let head = data.read_bytes_at(0, 4).unwrap_or_default();
    match head {
        b"\0asm" => {
            return Err(Other(
                "it is WebAssembly; compile it first (`trampette compile`)",
            ));
        }
        b"\x7fELF" => {}
        _ if data.len() == Ok(0) => return Err(Other("the file is empty")),
        _ => return Err(Other("no ELF file")),
    }
    let header = FileHeader64::<LittleEndian>::parse(data);
    let header = header.map_err(|_| Other("no 64-bit ELF file"))?;
    let endian = LittleEndian;
    if header.e_type(endian) != ET_DYN || header.e_machine(endian) != EM_X86_64 {
        return Err(Other("an ELF file of another kind or for another machine"));
    }
    let sections = header.sections(endian, data);
    // They are the last thing in the file.
    let sections = sections.map_err(|_| Damaged("it is truncated: it has no section headers"))?;
    let (_, id) = sections
        .section_by_name(endian, section::ID.as_bytes())
        .ok_or(Other("an ELF file without an identification section"))?;
    id.data(endian, data)
        .map_err(|_| Damaged("its identification is not in the file"))
}
