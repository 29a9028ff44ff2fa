//! Source lines from a static module's DWARF, for backtraces.
//!
//! Addresses in a module's DWARF count from the start of its code section's content. The sections
//! come from the guest's binary: damaged ones give no lines, never an error.

use crate::load::component::Component;
use gimli::{
    AttributeValue, DebuggingInformationEntry, Dwarf, EndianSlice, LittleEndian, SectionId, Unit,
    UnitOffset,
};
use trampette_artifact::metadata::StaticModule;

/// A source position of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceLine {
    /// The function, if it was inlined.
    pub function: Option<String>,
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1; 0 if unknown.
    pub column: u32,
}

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// How many references between entries a name is followed through.
const MAX_NAME_DEPTH: usize = 8;

/// The positions of the code at `offset` of the component's binary: where it was written, then, if
/// functions were inlined, where each was called, outwards. Empty if the module has no DWARF for
/// it.
pub(crate) fn source_lines(
    component: &Component,
    module: &StaticModule,
    offset: u32,
) -> Vec<SourceLine> {
    let Some(address) = u64::from(offset).checked_sub(module.code_section_start) else {
        return Vec::new();
    };
    let section = |id: SectionId| -> Result<Reader<'_>, gimli::Error> {
        let found = module
            .custom_sections
            .iter()
            .find(|(name, ..)| name == id.name())
            .and_then(|(_, offset, length)| component.custom_section(*offset, *length));
        Ok(EndianSlice::new(found.unwrap_or_default(), LittleEndian))
    };
    Dwarf::load(section)
        .and_then(|dwarf| lines(&dwarf, address))
        .ok()
        .flatten()
        .unwrap_or_default()
}

fn lines(dwarf: &Dwarf<Reader<'_>>, address: u64) -> gimli::Result<Option<Vec<SourceLine>>> {
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        let unit = dwarf.unit(header)?;
        let mut ranges = dwarf.unit_ranges(&unit)?;
        while let Some(range) = ranges.next()? {
            if (range.begin..range.end).contains(&address) {
                return lines_in_unit(dwarf, &unit, address);
            }
        }
    }
    Ok(None)
}

fn lines_in_unit(
    dwarf: &Dwarf<Reader<'_>>,
    unit: &Unit<Reader<'_>>,
    address: u64,
) -> gimli::Result<Option<Vec<SourceLine>>> {
    let Some(mut position) = position(dwarf, unit, address)? else {
        return Ok(None);
    };
    let mut lines = Vec::new();
    // Innermost first: each inlined function names the line reached so far, and where it was
    // called.
    for inlined in inlined_at(dwarf, unit, address)?.into_iter().rev() {
        position.function = inlined.name;
        lines.push(position);
        position = SourceLine {
            function: None,
            file: file_name(dwarf, unit, inlined.file)?.unwrap_or_default(),
            line: inlined.line,
            column: inlined.column,
        };
    }
    lines.push(position);
    Ok(Some(lines))
}

/// The line table's row for an address.
fn position(
    dwarf: &Dwarf<Reader<'_>>,
    unit: &Unit<Reader<'_>>,
    address: u64,
) -> gimli::Result<Option<SourceLine>> {
    let Some(program) = unit.line_program.clone() else {
        return Ok(None);
    };
    let mut rows = program.rows();
    let mut before: Option<(u64, u32, u32)> = None;
    let mut start = 0;
    while let Some((_, row)) = rows.next_row()? {
        if let Some((file, line, column)) = before
            && (start..row.address()).contains(&address)
        {
            return Ok(Some(SourceLine {
                function: None,
                file: file_name(dwarf, unit, file)?.unwrap_or_default(),
                line,
                column,
            }));
        }
        start = row.address();
        let line = row.line().map_or(0, |line| line.get());
        let column = match row.column() {
            gimli::ColumnType::LeftEdge => 0,
            gimli::ColumnType::Column(column) => column.get(),
        };
        before = (!row.end_sequence()).then_some((
            row.file_index(),
            u32::try_from(line).unwrap_or(0),
            u32::try_from(column).unwrap_or(0),
        ));
    }
    Ok(None)
}

fn file_name(
    dwarf: &Dwarf<Reader<'_>>,
    unit: &Unit<Reader<'_>>,
    index: u64,
) -> gimli::Result<Option<String>> {
    let Some(program) = &unit.line_program else {
        return Ok(None);
    };
    let header = program.header();
    let Some(file) = header.file(index) else {
        return Ok(None);
    };
    let text = |value| -> gimli::Result<String> {
        Ok(dwarf
            .attr_string(unit, value)?
            .to_string_lossy()
            .into_owned())
    };
    let mut path = text(file.path_name())?;
    if !path.starts_with('/')
        && let Some(directory) = file.directory(header)
    {
        let directory = text(directory)?;
        if !directory.is_empty() {
            path = format!("{directory}/{path}");
        }
    }
    Ok(Some(path))
}

/// An inlined function around an address.
struct Inlined {
    name: Option<String>,
    file: u64,
    line: u32,
    column: u32,
}

/// The inlined functions around an address, outermost first.
fn inlined_at(
    dwarf: &Dwarf<Reader<'_>>,
    unit: &Unit<Reader<'_>>,
    address: u64,
) -> gimli::Result<Vec<Inlined>> {
    let mut found = Vec::new();
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        let inlined = match entry.tag() {
            gimli::DW_TAG_inlined_subroutine => true,
            gimli::DW_TAG_subprogram => false,
            _ => continue,
        };
        let mut ranges = dwarf.die_ranges(unit, entry)?;
        let mut inside = false;
        while let Some(range) = ranges.next()? {
            inside |= (range.begin..range.end).contains(&address);
        }
        if !inside {
            continue;
        }
        if !inlined {
            found.clear();
            continue;
        }
        let number = |name| entry.attr_value(name).and_then(|value| value.udata_value());
        let small = |name| {
            let value = number(name).unwrap_or(0);
            u32::try_from(value).unwrap_or(0)
        };
        let file = match entry.attr_value(gimli::DW_AT_call_file) {
            Some(AttributeValue::FileIndex(index)) => index,
            _ => number(gimli::DW_AT_call_file).unwrap_or(0),
        };
        found.push(Inlined {
            name: name(dwarf, unit, entry, MAX_NAME_DEPTH)?,
            file,
            line: small(gimli::DW_AT_call_line),
            column: small(gimli::DW_AT_call_column),
        });
    }
    Ok(found)
}

/// A function's name, following references to its abstract instance or declaration in this unit.
fn name(
    dwarf: &Dwarf<Reader<'_>>,
    unit: &Unit<Reader<'_>>,
    entry: &DebuggingInformationEntry<Reader<'_>>,
    depth: usize,
) -> gimli::Result<Option<String>> {
    if let Some(value) = entry.attr_value(gimli::DW_AT_name) {
        let text = dwarf.attr_string(unit, value)?;
        return Ok(Some(text.to_string_lossy().into_owned()));
    }
    if depth == 0 {
        return Ok(None);
    }
    for reference in [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification] {
        let offset: UnitOffset = match entry.attr_value(reference) {
            Some(AttributeValue::UnitRef(offset)) => offset,
            Some(AttributeValue::DebugInfoRef(offset)) => match offset.to_unit_offset(&unit.header)
            {
                Some(offset) => offset,
                None => continue,
            },
            _ => continue,
        };
        let target = unit.entry(offset)?;
        if let Some(name) = name(dwarf, unit, &target, depth - 1)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
