//! Linking: compiled functions and a layout become one ELF file.
//!
//! | file | subject |
//! | --- | --- |
//! | [`text`] | functions one after the other, relocations, the tables indexed by code offset |
//! | [`images`] | slab images as page-aligned extents |
//! | [`unwind`] | `.eh_frame` and `.eh_frame_hdr` |
//! | [`describe`] | the metadata section |
//! | [`debug`], [`source_map`] | DWARF for debuggers; the source lines of a module |
//! | [`elf`] | sections, segments, symbols, and the file |
//!
//! Nothing is decided here about code; what comes in is placed, checked and written. The same input
//! gives the same bytes.

pub(crate) mod debug;
pub(crate) mod describe;
pub(crate) mod elf;
pub(crate) mod images;
pub(crate) mod source_map;
pub(crate) mod text;
pub(crate) mod unwind;

use crate::codegen::Session;
use crate::layout::{Layout, reference_bits};
use crate::options::{CompileOptions, DebugInfo, GuestDebugInfo};
use crate::program::compiled::{CompiledFunctions, check_complete};
use crate::program::symbols::symbol;
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeSet, HashMap};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::header::{self, Identification, section};
use trampette_artifact::ids::{FunctionId, SlabId, TableId};
use trampette_artifact::key::{DataKey, FuncKey, SymbolKey};
use trampette_artifact::layout::PAGE_ALIGNMENT;
use trampette_artifact::tables::{self, FunctionEntry, SealedEntry};

/// What the identification section says besides checksums.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// For example `x86_64`.
    pub name: String,
    /// CPU features the code needs, as the standard library's detection spells them.
    pub cpu_features: Vec<String>,
    /// The options, for listings.
    pub options: String,
    /// Whether the guest's debug info is kept.
    pub guest_debug_info: GuestDebugInfo,
}

impl Target {
    /// What the options make code for.
    pub(crate) fn of(options: &CompileOptions) -> Target {
        let features = options.target_cpu.cpu_feature_names();
        Target {
            name: options.target_cpu.architecture().to_string(),
            cpu_features: features.iter().map(|name| name.to_string()).collect(),
            options: options.describe(),
            guest_debug_info: options.guest_debug_info,
        }
    }
}

/// Links an artifact. `wit` is the component's world, which listings show.
///
/// # Errors
/// If something does not fit (code beyond 2 GiB), or a relocation is of a kind or to a symbol that
/// a closed world must not have.
pub(crate) fn link(
    session: &Session<'_>,
    functions: &CompiledFunctions,
    target: &Target,
    wit: Option<&str>,
) -> Result<Vec<u8>> {
    check_complete(functions)?;
    let mut text = text::lay_out(functions)?;
    let mut file = elf::Builder::new();

    // Read-only data that code refers to comes first, so that its addresses are known before the
    // text is relocated; the function table's contents depend only on distances.
    let table_length = session.layout.function_table_length() as usize;
    let table_size = table_length * size_of::<FunctionEntry>();
    let function_table = file.reserve(section::FUNCTION_TABLE, elf::Kind::ReadOnly, table_size, 16);
    let mut rodata = Rodata::gather(session, functions);
    let rodata_at = file.reserve(section::RODATA, elf::Kind::ReadOnly, rodata.bytes.len(), 16);
    let text_at = file.reserve(
        section::TEXT,
        elf::Kind::Code,
        text.code.len(),
        PAGE_ALIGNMENT,
    );
    let got_size = Builtin::ALL.len() * 8;
    let got = file.reserve(section::GOT, elf::Kind::Addresses, got_size, PAGE_ALIGNMENT);

    let data_address = |key: DataKey| match key {
        DataKey::FunctionTable => Some(function_table.address),
        DataKey::Got => Some(got.address),
        DataKey::DataSegment(_) | DataKey::ElementSegment(_) | DataKey::SealedTable(_) => rodata
            .offsets
            .get(&key)
            .map(|offset| rodata_at.address + offset),
    };
    text.relocate(functions, text_at.address, data_address)?;
    file.fill(&text_at, &text.code)?;
    rodata.write_sealed_tables(session, &text, text_at.address, rodata_at.address)?;
    file.fill(&rodata_at, &rodata.bytes)?;
    file.fill(
        &function_table,
        &function_entries(session, &text, text_at.address, function_table.address)?,
    )?;

    let images = images::extents(&session.layout.slabs)?;
    let image_at = file.section(
        section::IMAGE,
        elf::Kind::Image,
        &images.bytes,
        PAGE_ALIGNMENT,
    );

    file.section(
        section::FUNCTIONS,
        elf::Kind::Tables,
        tables::as_bytes(&text.functions),
        16,
    );
    let sites = trampette_artifact::sites::encode(&text.sites);
    file.section(section::SITES, elf::Kind::Tables, &sites, 16);
    if !text.inlined.is_empty() {
        file.section(
            section::INLINED,
            elf::Kind::Tables,
            tables::as_bytes(&text.inlined),
            16,
        );
    }
    file.section(
        section::ENTRIES,
        elf::Kind::Tables,
        tables::as_bytes(&text.entries),
        16,
    );
    if !text.handlers.is_empty() {
        file.section(
            section::EXCEPTIONS,
            elf::Kind::Tables,
            tables::as_bytes(&text.handlers),
            16,
        );
    }
    let eh_frame_at = file.next_address(elf::Kind::Tables, 8);
    let unwind = unwind::build(session, functions, &text, text_at.address, eh_frame_at)?;
    file.section(".eh_frame", elf::Kind::Tables, &unwind.frame, 8);
    file.section(".eh_frame_hdr", elf::Kind::Tables, &unwind.header, 8);
    let custom = describe::custom_sections(session.program, target.guest_debug_info);
    file.section(section::CUSTOM, elf::Kind::Tables, &custom.bytes, 16);
    if let Some(wit) = wit {
        file.section(section::WIT, elf::Kind::Tables, wit.as_bytes(), 1);
    }
    let imports = &session.program.world_imports;
    if !imports.items.is_empty() {
        file.section(section::WORLD, elf::Kind::Tables, &imports.encode()?, 1);
    }
    let metadata = describe::metadata(session, &images, image_at.address, &custom).encode()?;
    file.section(section::METADATA, elf::Kind::Tables, &metadata, 16);

    for (key, at) in text.placed() {
        file.symbol(
            symbol(session.program, key),
            text_at.address + u64::from(at.start),
            u64::from(at.length),
        )?;
    }
    if session.debug_info == DebugInfo::Lines {
        for (name, contents) in debug::sections(session, functions, &text, text_at.address)? {
            file.debug_section(name, contents);
        }
    }
    file.finish(|sections| {
        let identification = Identification {
            format_version: header::FORMAT_VERSION,
            compiler_version: header::COMPILER_VERSION.to_string(),
            target: target.name.clone(),
            cpu_features: target.cpu_features.clone(),
            options: target.options.clone(),
            sections,
        };
        identification.encode()
    })
}

/// Read-only data that run-time code copies from.
struct Rodata {
    bytes: Vec<u8>,
    offsets: HashMap<DataKey, u64>,
}

impl Rodata {
    fn gather(session: &Session<'_>, functions: &CompiledFunctions) -> Rodata {
        let mut rodata = Rodata {
            bytes: Vec::new(),
            offsets: HashMap::new(),
        };
        for (id, segment) in session.layout.data_segments.iter_with_ids() {
            rodata.push(DataKey::DataSegment(id), segment);
        }
        for (id, segment) in session.layout.element_segments.iter_with_ids() {
            let references = segment.iter().map(|id| reference_bits(*id));
            let bytes: Vec<u8> = references.flat_map(u32::to_le_bytes).collect();
            rodata.push(DataKey::ElementSegment(id), &bytes);
        }
        let relocations = functions.values().flat_map(|f| &f.relocations);
        let tables: BTreeSet<TableId> = relocations
            .filter_map(|relocation| match relocation.target {
                SymbolKey::Data(DataKey::SealedTable(table)) => Some(table),
                _ => None,
            })
            .collect();
        for id in tables {
            if let Some(table) = session.layout.sealed_table(id) {
                // Filled in when the text has its place.
                let bytes = vec![0; table.entries.len() << table.entry_size_log2()];
                rodata.push(DataKey::SealedTable(id), &bytes);
            }
        }
        rodata
    }

    /// Writes the entries of the sealed tables that code refers to.
    fn write_sealed_tables(
        &mut self,
        session: &Session<'_>,
        text: &text::Text,
        text_address: u64,
        rodata_address: u64,
    ) -> Result<()> {
        for (key, offset) in &self.offsets {
            let DataKey::SealedTable(id) = key else {
                continue;
            };
            let table = session.layout.sealed_table(*id);
            let table = table.with_context(|| format!("{id} is not sealed"))?;
            let address = rodata_address + offset;
            let entries = table
                .entries
                .iter()
                .map(|id| function_entry(session, *id, text, text_address, address));
            let entries = entries.collect::<Result<Vec<FunctionEntry>>>()?;
            let short: Vec<SealedEntry>;
            let bytes = match table.home {
                None => tables::as_bytes(&entries),
                Some(_) => {
                    let shorten = |entry: &FunctionEntry| SealedEntry {
                        signature: entry.signature,
                        code: entry.code,
                    };
                    short = entries.iter().map(shorten).collect();
                    tables::as_bytes(&short)
                }
            };
            self.bytes[*offset as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        Ok(())
    }

    fn push(&mut self, key: DataKey, bytes: &[u8]) {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        self.offsets.insert(key, self.bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }
}

/// The function table: null, every function value, and null again up to the power of two.
fn function_entries(
    session: &Session<'_>,
    text: &text::Text,
    text_address: u64,
    table_address: u64,
) -> Result<Vec<u8>> {
    let length = session.layout.function_table_length();
    let escaping = session.layout.escaping;
    let entries = (0..length as usize).map(|index| {
        let id = (index <= escaping).then(|| FunctionId::new(index));
        function_entry(session, id, text, text_address, table_address)
    });
    let entries = entries.collect::<Result<Vec<_>>>()?;
    ensure!(
        entries.is_empty() || entries[0] == FunctionEntry::default(),
        "entry 0 is null"
    );
    Ok(tables::as_bytes(&entries).to_vec())
}

/// The entry of a function, or of null, in a table at `table_address`.
fn function_entry(
    session: &Session<'_>,
    id: Option<FunctionId>,
    text: &text::Text,
    text_address: u64,
    table_address: u64,
) -> Result<FunctionEntry> {
    let layout = session.layout;
    let function = id.and_then(|id| layout.function(id).zip(layout.signature_of(id)));
    let Some((func, signature)) = function else {
        return Ok(FunctionEntry::default());
    };
    let key: FuncKey = func.key();
    let at = text
        .find(key)
        .with_context(|| format!("`{key}` is a value but was not compiled"))?;
    let code = (text_address + u64::from(at.start)) as i64 - table_address as i64;
    Ok(FunctionEntry {
        signature: signature.0,
        code: i32::try_from(code).context("the code is larger than 2 GiB")?,
        context: Layout::distance(SlabId(0), layout.home(func)),
    })
}

/// A symbol's place for relocations: functions by the text, data by `data_address`.
fn symbol_address(
    target: SymbolKey,
    text: &text::Text,
    text_address: u64,
    data_address: &impl Fn(DataKey) -> Option<u64>,
) -> Result<u64> {
    match target {
        SymbolKey::Func(key) => text.find(key).map(|at| text_address + u64::from(at.start)),
        SymbolKey::Data(key) => data_address(key),
    }
    .with_context(|| format!("undefined symbol `{target}`"))
}
