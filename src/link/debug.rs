//! DWARF for debuggers and profilers: which line of the source each machine instruction comes from,
//! and the functions by the names that their modules give them.
//!
//! One unit describes all of `.text`. Lines are those of the modules' own DWARF; a module without
//! it has its byte offset in the input as the number of the line, in a file of the module's name.
//! Of inlined calls only the innermost line is said; backtraces of the runtime know them all.

use super::source_map::SourceMap;
use super::text::Text;
use crate::codegen::Session;
use crate::program::compiled::CompiledFunctions;
use crate::program::module::Module;
use crate::program::symbols::symbol;
use anyhow::{Context, Result};
use gimli::write::{Address, AttributeValue, DwarfUnit, EndianVec, FileId, LineProgram};
use gimli::write::{LineString, Sections};
use gimli::{Encoding, Format, LineEncoding, LittleEndian, SectionId};
use std::collections::HashMap;
use std::ops::Range;
use trampette_artifact::demangle::shown;
use trampette_artifact::header::COMPILER_VERSION;
use trampette_artifact::ids::{CoreInstanceId, ModuleId};
use trampette_artifact::key::FuncKey;
use trampette_artifact::text::escaped;

const ENCODING: Encoding = Encoding {
    format: Format::Dwarf32,
    version: 4,
    address_size: 8,
};
/// Offsets in an input become lines; a debugger takes no larger ones.
const MAX_LINE: u64 = 0x7fff_ffff;

/// Names and contents of the sections.
///
/// # Errors
/// If they cannot be written, which an input larger than 4 GiB could cause.
pub(crate) fn sections(
    session: &Session<'_>,
    functions: &CompiledFunctions,
    text: &Text,
    text_address: u64,
) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let mut lines = Lines::new(session);
    for (function, at) in functions.values().zip(&text.functions) {
        // What Cranelift adds comes from where the code before it does, and the prologue from where
        // the function begins.
        let sources = function.source_offsets.iter();
        let mut sources = sources.filter_map(|(offset, source)| Some((*offset, (*source)?)));
        let Some((_, first)) = sources.next() else {
            // A trampoline: no line, and not that of the function before it.
            lines.end(at.start);
            continue;
        };
        lines.begin(text_address, at.start);
        lines.row(at.start, first);
        for (offset, source) in sources {
            lines.row(at.start + offset, source);
        }
    }
    let length = text.code.len() as u64;
    lines.end(length as u32); // checked when it was laid out

    let mut unit = DwarfUnit::new(ENCODING);
    unit.unit.line_program = lines.program;
    let root = unit.unit.root();
    let producer = format!("trampette {COMPILER_VERSION}");
    let string = |text: String| AttributeValue::String(text.into_bytes());
    let entry = unit.unit.get_mut(root);
    entry.set(gimli::DW_AT_producer, string(producer));
    entry.set(
        gimli::DW_AT_language,
        AttributeValue::Language(gimli::DW_LANG_C99),
    );
    entry.set(gimli::DW_AT_name, string("guest".to_string()));
    entry.set(gimli::DW_AT_stmt_list, AttributeValue::LineProgramRef);
    let place = |start: u64, length: u64| {
        let start = AttributeValue::Address(Address::Constant(text_address + start));
        let length = AttributeValue::Udata(length);
        [(gimli::DW_AT_low_pc, start), (gimli::DW_AT_high_pc, length)]
    };
    for (name, value) in place(0, length) {
        entry.set(name, value);
    }
    for (key, at) in text.placed() {
        let function = unit.unit.add(root, gimli::DW_TAG_subprogram);
        let entry = unit.unit.get_mut(function);
        let symbol = || zero_free(symbol(session.program, key));
        let name = name(session, key).unwrap_or_else(symbol);
        // Debuggers show a linkage name in place of the name, so there is none.
        entry.set(gimli::DW_AT_name, string(name));
        for (name, value) in place(at.start.into(), at.length.into()) {
            entry.set(name, value);
        }
    }
    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    unit.write(&mut sections).context("cannot write DWARF")?;
    let mut written = Vec::new();
    sections.for_each(|id: SectionId, data| -> Result<()> {
        if !data.slice().is_empty() {
            written.push((id.name(), data.slice().to_vec()));
        }
        Ok(())
    })?;
    Ok(written)
}

/// A core function's name in its module.
fn name(session: &Session<'_>, key: FuncKey) -> Option<String> {
    let FuncKey::ModuleFunction(unit, defined) = key else {
        return None;
    };
    let instance = session.program.core_instances.get(CoreInstanceId(unit.0))?;
    let module = &session.program.modules[instance.module];
    let name = module.function_name(module.index_of(defined))?;
    Some(shown(name))
}

/// The line table in the making.
struct Lines {
    program: LineProgram,
    /// Where each module is in the input, sorted.
    modules: Vec<(Range<u64>, Sources)>,
    /// Where the open sequence of rows began.
    start: Option<u32>,
    /// What its last row said.
    last: Option<(FileId, u64, u64)>,
    /// The file of what nothing is known of.
    none: FileId,
}

/// What is known of a module.
struct Sources {
    map: SourceMap,
    /// The files of the map; without one, a file of the module's name.
    files: Vec<FileId>,
}

impl Lines {
    fn new(session: &Session<'_>) -> Lines {
        let text = |text: &str| LineString::String(text.as_bytes().to_vec());
        let mut program = LineProgram::new(
            ENCODING,
            LineEncoding::default(),
            text("."),
            None,
            text("guest"),
            None,
        );
        let directory = program.default_directory();
        let none = program.add_file(text("guest"), directory, None);
        let mut directories = HashMap::new();
        let mut add_file = |program: &mut LineProgram, path: &str| {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let folder = match folder {
                "" => directory,
                folder => *directories
                    .entry(folder.to_string())
                    .or_insert_with(|| program.add_directory(text(folder))),
            };
            let name = if name.is_empty() { "unknown" } else { name };
            program.add_file(text(name), folder, None)
        };
        let mut modules = Vec::new();
        for (id, module) in session.program.modules.iter_with_ids() {
            let map = SourceMap::of(module);
            let files = match map.is_empty() {
                true => vec![add_file(&mut program, &file_of(id, module))],
                false => {
                    let files = map.files.iter();
                    files.map(|path| add_file(&mut program, path)).collect()
                }
            };
            let range = module.range.start as u64..module.range.end as u64;
            modules.push((range, Sources { map, files }));
        }
        modules.sort_by_key(|(range, _)| range.start);
        Lines {
            program,
            modules,
            start: None,
            last: None,
            none,
        }
    }

    /// Begins a sequence at an offset of `.text`, if none is open.
    fn begin(&mut self, text_address: u64, offset: u32) {
        if self.start.is_none() {
            self.start = Some(offset);
            self.last = None;
            let address = Address::Constant(text_address + u64::from(offset));
            self.program.begin_sequence(Some(address));
        }
    }

    /// Ends the open sequence, if there is one.
    fn end(&mut self, offset: u32) {
        if let Some(start) = self.start.take() {
            self.program.end_sequence((offset - start).into());
        }
    }

    /// Code from this offset of `.text` on comes from this offset of the input.
    fn row(&mut self, offset: u32, source: u32) {
        // Line 0 says that there is none.
        let place = self.place(source).unwrap_or((self.none, 0, 0));
        if self.last == Some(place) {
            return;
        }
        self.last = Some(place);
        let row = self.program.row();
        row.address_offset = (offset - self.start.unwrap_or(0)).into();
        (row.file, row.line, row.column) = place;
        self.program.generate_row();
    }

    fn place(&self, source: u32) -> Option<(FileId, u64, u64)> {
        let offset = u64::from(source);
        let after = self
            .modules
            .partition_point(|(range, _)| range.start <= offset);
        let (range, sources) = self.modules[..after].last()?;
        if !range.contains(&offset) {
            return None;
        }
        if sources.map.is_empty() {
            return Some((*sources.files.first()?, offset.min(MAX_LINE), 0));
        }
        let line = sources.map.find(source)?;
        let file = *sources.files.get(line.file)?;
        Some((file, line.line.into(), line.column.into()))
    }
}

/// The file that stands for a module without DWARF.
fn file_of(id: ModuleId, module: &Module<'_>) -> String {
    match &module.name[..] {
        "" => format!("{id}.wasm"),
        name => zero_free(format!("{}.wasm", escaped(name)).replace('/', "_")),
    }
}

/// A zero byte would end a string early.
fn zero_free(text: String) -> String {
    text.replace('\0', "\u{fffd}")
}
