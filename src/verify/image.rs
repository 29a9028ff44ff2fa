//! Sections and segments of an artifact's file.
//!
//! The loader finds sections through the identification, tools find them through the ELF headers,
//! which have no checksum: both must say the same.

use anyhow::{Context, Result, bail, ensure};
use object::elf::{self, ProgramHeader64};
use object::read::elf::{ElfFile64, ProgramHeader, SectionHeader};
use object::{LittleEndian, Object, ObjectSection};
use std::collections::BTreeMap;
use std::ops::Range;
use trampette_artifact::header::{Identification, section};
use trampette_artifact::metadata::Metadata;

/// An artifact whose sections and segments are in order.
pub(super) struct Image<'a> {
    bytes: &'a [u8],
    /// The headers.
    pub file: ElfFile64<'a, LittleEndian>,
    sections: BTreeMap<String, Range<u64>>,
}

/// The code.
pub(super) struct Text<'a> {
    /// The bytes of `.text`.
    pub code: &'a [u8],
    /// Where it starts in the file.
    pub address: u64,
}

impl Text<'_> {
    /// Where in the file an offset in `.text` is.
    pub(super) fn file_offset(&self, offset: u32) -> u64 {
        self.address + u64::from(offset)
    }
}

impl<'a> Image<'a> {
    /// Reads an artifact's headers and checks them.
    ///
    /// # Errors
    /// If a section or a segment is not where it should be, or more may be done with it.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Image<'a>> {
        let file = ElfFile64::parse(bytes).context("no 64-bit little-endian ELF file")?;
        let segments = segments(&file, bytes.len() as u64)?;
        let mut image = Image {
            bytes,
            file,
            sections: BTreeMap::new(),
        };
        image.read_sections(&segments)?;
        image.check_identification()?;
        Ok(image)
    }

    fn read_sections(&mut self, segments: &[Segment]) -> Result<()> {
        let mut places = Vec::new();
        for found in self.file.sections() {
            let name = found.name().context("a section without a name")?;
            let header = found.elf_section_header();
            let (offset, size) = (header.sh_offset(LittleEndian), header.sh_size(LittleEndian));
            let end = offset.checked_add(size);
            let end = end.filter(|end| *end <= self.bytes.len() as u64);
            let end =
                end.with_context(|| format!("section {name} at {offset:#x} ends beyond the file"))?;
            if size > 0 {
                places.push((offset, end, name.to_string()));
            }
            let flags = header.sh_flags(LittleEndian);
            if flags & u64::from(elf::SHF_ALLOC) == 0 {
                continue;
            }
            let address = header.sh_addr(LittleEndian);
            ensure!(
                address == offset,
                "section {name} at {offset:#x} has the address {address:#x}"
            );
            let (allowed, expected) = permissions(name);
            ensure!(
                flags == expected,
                "section {name} at {offset:#x} has flags {flags:#x} instead of {expected:#x}"
            );
            let segment = segments
                .iter()
                .find(|it| it.range.start <= offset && end <= it.range.end)
                .with_context(|| format!("section {name} at {offset:#x} is in no segment"))?;
            ensure!(
                segment.flags == allowed,
                "section {name} at {offset:#x} is in a segment that is {}, not {}",
                spell(segment.flags),
                spell(allowed)
            );
            let before = self.sections.insert(name.to_string(), offset..end);
            ensure!(before.is_none(), "two sections are called {name}");
        }
        places.sort();
        for pair in places.windows(2) {
            let [(_, end, first), (start, _, second)] = pair else {
                continue;
            };
            ensure!(
                end <= start,
                "sections {first} and {second} overlap at {start:#x}"
            );
        }
        Ok(())
    }

    /// The identification lists the same sections as the headers, except itself and the build id.
    fn check_identification(&self) -> Result<()> {
        let id = Identification::decode(self.contents(section::ID)?)?;
        let mut listed = BTreeMap::new();
        for section in &id.sections {
            let place = section.offset..section.offset + section.length;
            let before = listed.insert(section.name.clone(), place);
            ensure!(
                before.is_none(),
                "the identification lists {} twice",
                section.name
            );
        }
        for (name, place) in &self.sections {
            if name == section::ID || name.starts_with(".note") {
                continue;
            }
            let other = listed.remove(name);
            ensure!(
                other.as_ref() == Some(place),
                "the headers have section {name} at {place:#x?}, the identification {other:#x?}"
            );
        }
        if let Some((name, place)) = listed.pop_first() {
            bail!("no header of section {name} at {:#x}", place.start);
        }
        Ok(())
    }

    /// Images and custom sections that metadata refers to are in their sections.
    ///
    /// # Errors
    /// If one is not.
    pub(super) fn check_extents(&self, metadata: &Metadata) -> Result<()> {
        let images = self.find(section::IMAGE).unwrap_or_default();
        for (id, slab) in metadata.slabs.iter_with_ids() {
            for extent in &slab.extents {
                let end = extent.file_offset + extent.length; // the loader checked the sum
                ensure!(
                    images.start <= extent.file_offset && end <= images.end,
                    "an extent of {id} at {:#x} is not in {}",
                    extent.file_offset,
                    section::IMAGE
                );
            }
        }
        let custom = self.find(section::CUSTOM).unwrap_or_default();
        for (id, module) in metadata.modules.iter_with_ids() {
            let sections = module.custom_sections.iter();
            let places = sections.map(|(name, offset, length)| (name.as_str(), *offset, *length));
            let (offset, length) = module.function_names;
            for (name, offset, length) in places.chain([("its names", offset, length)]) {
                let end = offset.checked_add(length);
                ensure!(
                    end.is_some_and(|end| end <= custom.end - custom.start),
                    "{id}: {name} at {offset:#x} is not in {}",
                    section::CUSTOM
                );
            }
        }
        Ok(())
    }

    /// Where a section is in the file.
    pub(super) fn find(&self, name: &str) -> Option<Range<u64>> {
        self.sections.get(name).cloned()
    }

    /// The bytes of a section.
    ///
    /// # Errors
    /// If there is none of that name.
    pub(super) fn contents(&self, name: &str) -> Result<&'a [u8]> {
        let place = self.find(name);
        let place = place.with_context(|| format!("there is no section {name}"))?;
        Ok(&self.bytes[place.start as usize..place.end as usize])
    }

    /// The code.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn text(&self) -> Result<Text<'a>> {
        Ok(Text {
            code: self.contents(section::TEXT)?,
            address: self.find(section::TEXT).unwrap_or_default().start,
        })
    }
}

struct Segment {
    range: Range<u64>,
    flags: u32,
}

/// The loadable segments, checked.
fn segments(file: &ElfFile64<'_, LittleEndian>, length: u64) -> Result<Vec<Segment>> {
    let headers: &[ProgramHeader64<LittleEndian>] = file.elf_program_headers();
    let mut segments: Vec<Segment> = Vec::new();
    for header in headers {
        let flags = header.p_flags(LittleEndian);
        let start = header.p_offset(LittleEndian);
        ensure!(
            flags & elf::PF_W == 0 || flags & elf::PF_X == 0,
            "the segment at {start:#x} is writable and executable"
        );
        let size = header.p_filesz(LittleEndian);
        let end = start.checked_add(size).filter(|end| *end <= length);
        let end = end.with_context(|| format!("the segment at {start:#x} ends beyond the file"))?;
        if header.p_type(LittleEndian) != elf::PT_LOAD {
            continue;
        }
        ensure!(
            header.p_vaddr(LittleEndian) == start && header.p_memsz(LittleEndian) == size,
            "the segment at {start:#x} is mapped elsewhere, or with another size"
        );
        let last = segments.last().map_or(0, |last| last.range.end);
        ensure!(
            last <= start,
            "the segment at {start:#x} overlaps the one before it"
        );
        segments.push(Segment {
            range: start..end,
            flags,
        });
    }
    Ok(segments)
}

/// What a segment and the headers of a section must allow: flags of each.
fn permissions(name: &str) -> (u32, u64) {
    let (segment, section) = match name {
        section::TEXT => (elf::PF_X, elf::SHF_EXECINSTR),
        section::GOT => (elf::PF_W, elf::SHF_WRITE),
        _ => (0, 0),
    };
    (elf::PF_R | segment, u64::from(elf::SHF_ALLOC | section))
}

fn spell(flags: u32) -> String {
    let letters = [(elf::PF_R, 'r'), (elf::PF_W, 'w'), (elf::PF_X, 'x')];
    let spelt = letters.map(|(flag, letter)| if flags & flag != 0 { letter } else { '-' });
    spelt.iter().collect()
}
