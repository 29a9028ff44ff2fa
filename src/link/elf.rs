//! The ELF file: `ET_DYN` for x86-64 with program headers, `p_vaddr == p_offset == sh_addr`, so
//! that `readelf`, `objdump`, `nm`, `gdb` and `perf` just work on it.
//!
//! Segments, each page-aligned: headers, note and read-only data; code; builtin addresses; slab
//! images; tables and metadata. DWARF, symbols and section names follow, outside every segment, and
//! four bytes that give the file the checksum that debuggers expect.

use anyhow::{Context, Result, bail, ensure};
use object::elf;
use trampette_artifact::crc;
use trampette_artifact::header::{SectionChecksum, checksum, section};
use trampette_artifact::layout::PAGE_ALIGNMENT;

/// What a section holds, which decides its segment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// Data that code reads.
    ReadOnly,
    /// Machine code.
    Code,
    /// Host addresses, written when the file is mapped.
    Addresses,
    /// Slab images.
    Image,
    /// What the runtime and tools read.
    Tables,
}

impl Kind {
    fn segment_flags(self) -> u32 {
        match self {
            Kind::ReadOnly | Kind::Image | Kind::Tables => elf::PF_R,
            Kind::Code => elf::PF_R | elf::PF_X,
            Kind::Addresses => elf::PF_R | elf::PF_W,
        }
    }

    fn section_flags(self) -> u64 {
        u64::from(match self {
            Kind::ReadOnly | Kind::Image | Kind::Tables => elf::SHF_ALLOC,
            Kind::Code => elf::SHF_ALLOC | elf::SHF_EXECINSTR,
            Kind::Addresses => elf::SHF_ALLOC | elf::SHF_WRITE,
        })
    }
}

/// A section placed in the file; its address is its file offset.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// Address and file offset.
    pub address: u64,
    /// Bytes.
    pub size: u64,
}

struct Section {
    name: String,
    kind: Kind,
    at: Placed,
    align: u64,
    filled: bool,
}

struct Symbol {
    name: String,
    address: u64,
    size: u64,
}

const FILE_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const SECTION_HEADER: usize = 64;
const SYMBOL: usize = 24;
const NOTE_NAME: &str = ".note.gnu.build-id";
/// Name size, description size and type, `GNU\0`, and 8 bytes of identification.
const NOTE_SIZE: usize = 12 + 4 + 8;
/// Segments of sections, plus note, stack and unwind table.
const PROGRAM_HEADERS: usize = 5 + 3;

/// Builds the file in the order of its bytes. Sections come in the order of their kinds.
pub(crate) struct Builder {
    bytes: Vec<u8>,
    sections: Vec<Section>,
    debug: Vec<(&'static str, Vec<u8>)>,
    symbols: Vec<Symbol>,
}

impl Builder {
    /// A file with room for its headers and the build-id note.
    pub(crate) fn new() -> Builder {
        let mut builder = Builder {
            bytes: Vec::new(),
            sections: Vec::new(),
            debug: Vec::new(),
            symbols: Vec::new(),
        };
        builder
            .bytes
            .resize(FILE_HEADER + PROGRAM_HEADERS * PROGRAM_HEADER, 0);
        builder.reserve(NOTE_NAME, Kind::ReadOnly, NOTE_SIZE, 8);
        builder
    }

    /// Where the next section of a kind and alignment will start.
    pub(crate) fn next_address(&self, kind: Kind, align: u64) -> u64 {
        let new_segment = self.sections.last().is_some_and(|last| last.kind != kind);
        let align = if new_segment {
            align.max(PAGE_ALIGNMENT)
        } else {
            align
        };
        (self.bytes.len() as u64).next_multiple_of(align)
    }

    /// A section whose contents come later, by [`Builder::fill`]; zeros if never.
    ///
    /// # Panics
    /// If kinds come out of order, which is a defect of the linker.
    pub(crate) fn reserve(&mut self, name: &str, kind: Kind, size: usize, align: u64) -> Placed {
        assert!(
            self.sections.last().is_none_or(|last| last.kind <= kind),
            "{name} is out of order"
        );
        let address = self.next_address(kind, align);
        self.bytes.resize(address as usize + size, 0);
        let at = Placed {
            address,
            size: size as u64,
        };
        // Builtin addresses are zeros by intention.
        let filled = kind == Kind::Addresses || size == 0;
        self.sections.push(Section {
            name: name.to_string(),
            kind,
            at: at.clone(),
            align,
            filled,
        });
        at
    }

    /// Writes the contents of a reserved section.
    ///
    /// # Errors
    /// If they are not exactly as long as reserved.
    pub(crate) fn fill(&mut self, at: &Placed, contents: &[u8]) -> Result<()> {
        let section = self
            .sections
            .iter_mut()
            .find(|section| section.at.address == at.address && section.at.size == at.size)
            .context("a section that was never reserved")?;
        ensure!(
            contents.len() as u64 == at.size,
            "section {} has {} bytes instead of {}",
            section.name,
            contents.len(),
            at.size
        );
        section.filled = true;
        let start = at.address as usize;
        self.bytes[start..start + contents.len()].copy_from_slice(contents);
        Ok(())
    }

    /// A section with its contents.
    pub(crate) fn section(
        &mut self,
        name: &str,
        kind: Kind,
        contents: &[u8],
        align: u64,
    ) -> Placed {
        let at = self.reserve(name, kind, contents.len(), align);
        let start = at.address as usize;
        self.bytes[start..].copy_from_slice(contents);
        self.sections.last_mut().expect("just reserved").filled = true;
        at
    }

    /// A section of DWARF, which is not mapped.
    pub(crate) fn debug_section(&mut self, name: &'static str, contents: Vec<u8>) {
        self.debug.push((name, contents));
    }

    /// A function symbol in `.text`.
    ///
    /// # Errors
    /// If the name has a zero byte.
    pub(crate) fn symbol(&mut self, name: String, address: u64, size: u64) -> Result<()> {
        // Names come from the guest; a zero byte would end the string early.
        let name = name.replace('\0', "\u{fffd}");
        self.symbols.push(Symbol {
            name,
            address,
            size,
        });
        Ok(())
    }

    /// Adds the identification section, symbols and headers, and gives the file.
    ///
    /// # Errors
    /// If a reserved section was never filled, or the file does not fit ELF's fields.
    pub(crate) fn finish(
        mut self,
        identification: impl FnOnce(Vec<SectionChecksum>) -> Result<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        if let Some(section) = self
            .sections
            .iter()
            .find(|s| !s.filled && s.name != NOTE_NAME)
        {
            bail!("section {} was reserved but never written", section.name);
        }
        let checksums = self.checksums();
        self.write_build_id(&checksums);
        let identification = identification(checksums)?;
        self.section(section::ID, Kind::Tables, &identification, 16);
        let segments_end = self.bytes.len();

        let mut names = vec![0];
        let mut name_offsets = Vec::new();
        let all = self.sections.iter().map(|s| s.name.as_str());
        let debug = self.debug.iter().map(|(name, _)| *name);
        for name in all.chain(debug).chain([".symtab", ".strtab", ".shstrtab"]) {
            name_offsets.push(names.len() as u32);
            names.extend_from_slice(name.as_bytes());
            names.push(0);
        }
        let text_index = 1 + self
            .sections
            .iter()
            .position(|s| s.kind == Kind::Code)
            .context("there is no .text section")?;
        let (symtab, strtab) = self.symbol_tables(text_index as u16)?;
        let debug = std::mem::take(&mut self.debug);
        let debug: Vec<SectionHeader> = debug
            .iter()
            .map(|(_, contents)| SectionHeader {
                kind: elf::SHT_PROGBITS,
                align: 1,
                offset: self.append(contents, 1),
                size: contents.len() as u64,
                ..SectionHeader::default()
            })
            .collect();
        let symtab_at = self.append(&symtab, 8);
        let strtab_at = self.append(&strtab, 1);
        let names_at = self.append(&names, 1);
        let headers_at = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(headers_at, 0);

        self.bytes.extend([0; SECTION_HEADER]);
        for (section, name) in self.sections.iter().zip(&name_offsets) {
            let kind = if section.name == NOTE_NAME {
                elf::SHT_NOTE
            } else {
                elf::SHT_PROGBITS
            };
            let header = SectionHeader {
                name: *name,
                kind,
                flags: section.kind.section_flags(),
                address: section.at.address,
                offset: section.at.address,
                size: section.at.size,
                align: section.align,
                ..SectionHeader::default()
            };
            header.write(&mut self.bytes);
        }
        let tail = name_offsets.len() - 3;
        let first = self.sections.len() + 1;
        let strtab_index = (first + debug.len() + 1) as u32;
        let count = first + debug.len() + 3; // symbols, two string tables
        let tables = [
            SectionHeader {
                kind: elf::SHT_SYMTAB,
                link: strtab_index,
                // All symbols are local: one past the last.
                info: self.symbols.len() as u32 + 1,
                entry_size: SYMBOL as u64,
                align: 8,
                offset: symtab_at,
                size: symtab.len() as u64,
                ..SectionHeader::default()
            },
            SectionHeader {
                kind: elf::SHT_STRTAB,
                align: 1,
                offset: strtab_at,
                size: strtab.len() as u64,
                ..SectionHeader::default()
            },
            SectionHeader {
                kind: elf::SHT_STRTAB,
                align: 1,
                offset: names_at,
                size: names.len() as u64,
                ..SectionHeader::default()
            },
        ];
        let names = &name_offsets[tail - debug.len()..];
        for (mut header, name) in debug.into_iter().chain(tables).zip(names) {
            header.name = *name;
            header.write(&mut self.bytes);
        }
        self.write_headers(headers_at as u64, segments_end as u64, count as u16);
        let closing = crc::closing_bytes(&self.bytes);
        self.bytes.extend(closing);
        Ok(self.bytes)
    }

    fn append(&mut self, contents: &[u8], align: usize) -> u64 {
        let at = self.bytes.len().next_multiple_of(align);
        self.bytes.resize(at, 0);
        self.bytes.extend_from_slice(contents);
        at as u64
    }

    /// Checksums of every section but the note, which depends on them.
    fn checksums(&self) -> Vec<SectionChecksum> {
        let sections = self
            .sections
            .iter()
            .filter(|section| section.name != NOTE_NAME);
        sections
            .map(|section| {
                let start = section.at.address as usize;
                let contents = &self.bytes[start..start + section.at.size as usize];
                SectionChecksum {
                    name: section.name.clone(),
                    offset: section.at.address,
                    length: section.at.size,
                    checksum: checksum(contents),
                }
            })
            .collect()
    }

    fn write_build_id(&mut self, checksums: &[SectionChecksum]) {
        let all: Vec<u8> = checksums
            .iter()
            .flat_map(|section| section.checksum.to_le_bytes())
            .collect();
        let mut note = Vec::with_capacity(NOTE_SIZE);
        note.extend(4u32.to_le_bytes());
        note.extend(8u32.to_le_bytes());
        note.extend(elf::NT_GNU_BUILD_ID.to_le_bytes());
        note.extend(b"GNU\0");
        note.extend(checksum(&all).to_le_bytes());
        let start = self.sections[0].at.address as usize;
        self.bytes[start..start + NOTE_SIZE].copy_from_slice(&note);
    }

    fn symbol_tables(&self, text_index: u16) -> Result<(Vec<u8>, Vec<u8>)> {
        let mut symbols = vec![0; SYMBOL];
        let mut strings = vec![0];
        for symbol in &self.symbols {
            let name =
                u32::try_from(strings.len()).context("symbol names are larger than 4 GiB")?;
            strings.extend_from_slice(symbol.name.as_bytes());
            strings.push(0);
            symbols.extend(name.to_le_bytes());
            symbols.push(elf::STB_LOCAL << 4 | elf::STT_FUNC);
            symbols.push(elf::STV_DEFAULT);
            symbols.extend(text_index.to_le_bytes());
            symbols.extend(symbol.address.to_le_bytes());
            symbols.extend(symbol.size.to_le_bytes());
        }
        Ok((symbols, strings))
    }

    fn write_headers(&mut self, section_headers: u64, segments_end: u64, sections: u16) {
        let mut programs: Vec<ProgramHeader> = Vec::new();
        for (position, section) in self.sections.iter().enumerate() {
            let end = section.at.address + section.at.size;
            match programs.last_mut() {
                Some(last) if self.sections[position - 1].kind == section.kind => {
                    last.size = end - last.offset;
                }
                _ => {
                    // The first segment includes the file's headers.
                    let offset = if position == 0 { 0 } else { section.at.address };
                    programs.push(ProgramHeader {
                        kind: elf::PT_LOAD,
                        flags: section.kind.segment_flags(),
                        offset,
                        size: end - offset,
                        align: PAGE_ALIGNMENT,
                    });
                }
            }
        }
        debug_assert_eq!(
            programs.last().map(|last| last.offset + last.size),
            Some(segments_end)
        );
        let note = &self.sections[0].at;
        programs.push(ProgramHeader {
            kind: elf::PT_NOTE,
            flags: elf::PF_R,
            offset: note.address,
            size: note.size,
            align: 8,
        });
        if let Some(unwind) = self.sections.iter().find(|s| s.name == ".eh_frame_hdr") {
            let at = &unwind.at;
            programs.push(ProgramHeader {
                kind: elf::PT_GNU_EH_FRAME,
                flags: elf::PF_R,
                offset: at.address,
                size: at.size,
                align: 8,
            });
        }
        programs.push(ProgramHeader {
            kind: elf::PT_GNU_STACK,
            flags: elf::PF_R | elf::PF_W,
            offset: 0,
            size: 0,
            align: 16,
        });

        let mut header = Vec::with_capacity(FILE_HEADER);
        header.extend([
            0x7f,
            b'E',
            b'L',
            b'F',
            elf::ELFCLASS64,
            elf::ELFDATA2LSB,
            elf::EV_CURRENT,
        ]);
        header.resize(16, 0);
        header.extend(elf::ET_DYN.to_le_bytes());
        header.extend(elf::EM_X86_64.to_le_bytes());
        header.extend(u32::from(elf::EV_CURRENT).to_le_bytes());
        header.extend(0u64.to_le_bytes()); // no entry point
        header.extend((FILE_HEADER as u64).to_le_bytes());
        header.extend(section_headers.to_le_bytes());
        header.extend(0u32.to_le_bytes());
        let fields = [
            FILE_HEADER as u16,
            PROGRAM_HEADER as u16,
            programs.len() as u16,
            SECTION_HEADER as u16,
            sections,
            sections - 1,
        ];
        header.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
        for program in programs {
            program.write(&mut header);
        }
        self.bytes[..header.len()].copy_from_slice(&header);
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Default)]
struct SectionHeader {
    name: u32,
    kind: u32,
    flags: u64,
    address: u64,
    offset: u64,
    size: u64,
    link: u32,
    info: u32,
    align: u64,
    entry_size: u64,
}

impl SectionHeader {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.name.to_le_bytes());
        out.extend(self.kind.to_le_bytes());
        for field in [self.flags, self.address, self.offset, self.size] {
            out.extend(field.to_le_bytes());
        }
        out.extend(self.link.to_le_bytes());
        out.extend(self.info.to_le_bytes());
        out.extend(self.align.to_le_bytes());
        out.extend(self.entry_size.to_le_bytes());
    }
}

struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    size: u64,
    align: u64,
}

impl ProgramHeader {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.kind.to_le_bytes());
        out.extend(self.flags.to_le_bytes());
        // Offset, virtual and physical address are the same; so are the sizes in file and memory.
        for field in [
            self.offset,
            self.offset,
            self.offset,
            self.size,
            self.size,
            self.align,
        ] {
            out.extend(field.to_le_bytes());
        }
    }
}
