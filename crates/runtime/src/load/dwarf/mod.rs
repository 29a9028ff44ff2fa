//! Source lines from a static module's DWARF, for backtraces.
//!
//! Addresses in a module's DWARF count from the start of its code section's content. The sections
//! come from the guest's binary: damaged ones give no lines, never an error, and large or hostile
//! ones cost no more than a [`Budget`] allows. All frames of a backtrace are looked up together, so
//! that a unit is read once for all of them.
//!
//! | file | subject |
//! | --- | --- |
//! | `budget` | how much is read |
//! | `units` | which unit describes an address |

mod budget;
mod units;

pub(crate) use budget::Budget;
pub(crate) use units::UnitIndex;

use crate::load::component::Component;
use budget::Stop;
use gimli::{
    AttributeValue, DebugInfoOffset, DebuggingInformationEntry, Dwarf, EndianSlice, LittleEndian,
    SectionId, Unit, UnitOffset,
};
use std::collections::BTreeMap;
use trampette_artifact::ids::ModuleId;
use trampette_artifact::metadata::StaticModule;
use trampette_artifact::text::shortened;

/// A source position of a frame.
///
/// ```
/// # fn show(line: &trampette_runtime::SourceLine) {
/// println!("{}:{}:{}", line.file, line.line, line.column);
/// # }
/// ```
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
type Sections<'a> = Dwarf<Reader<'a>>;

/// How many references between entries a name is followed through.
const MAX_NAME_DEPTH: usize = 8;
/// Bytes of a name or of a part of a path.
const MAX_NAME: usize = 512;
/// Inlined functions around an address.
const MAX_INLINED: usize = 32;

/// The positions of the code at some offsets of the component's binary: where it was written, then,
/// if functions were inlined, where each was called, outwards. Offsets that the module has no DWARF
/// for, or that the budget does not reach, are not in the result.
pub(crate) fn source_lines(
    component: &Component,
    id: ModuleId,
    module: &StaticModule,
    offsets: &[u32],
    budget: &mut Budget,
) -> BTreeMap<u32, Vec<SourceLine>> {
    let mut lines = BTreeMap::new();
    let Some(dwarf) = sections(component, module) else {
        return lines;
    };
    let index = component.unit_index(id, || UnitIndex::of(&dwarf));
    // The addresses that each unit describes, sorted and each once.
    let mut units: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for offset in offsets {
        let address = u64::from(*offset).checked_sub(module.code_section_start);
        if let Some((address, unit)) = address.and_then(|it| Some((it, index.find(it)?))) {
            units.entry(unit.0).or_default().push(address);
        }
    }
    for (unit, mut addresses) in units {
        addresses.sort_unstable();
        addresses.dedup();
        let mut found = vec![Vec::new(); addresses.len()];
        // Whatever stops it, what was found until then is true.
        let _ = lines_in_unit(
            &dwarf,
            DebugInfoOffset(unit),
            &addresses,
            &mut found,
            budget,
        );
        for (address, found) in addresses.iter().zip(found) {
            if !found.is_empty() {
                lines.insert((address + module.code_section_start) as u32, found);
            }
        }
    }
    lines
}

/// The DWARF sections of a module; `None` if it has none.
fn sections<'a>(component: &'a Component, module: &StaticModule) -> Option<Sections<'a>> {
    let find = |id: SectionId| {
        let mut sections = module.custom_sections.iter();
        let (_, offset, length) = sections.find(|(name, ..)| name == id.name())?;
        component.custom_section(*offset, *length)
    };
    find(SectionId::DebugInfo)?;
    let section = |id: SectionId| -> Result<Reader<'_>, gimli::Error> {
        Ok(EndianSlice::new(find(id).unwrap_or_default(), LittleEndian))
    };
    Dwarf::load(section).ok()
}

fn lines_in_unit(
    dwarf: &Sections<'_>,
    unit: DebugInfoOffset,
    addresses: &[u64],
    found: &mut [Vec<SourceLine>],
    budget: &mut Budget,
) -> Result<(), Stop> {
    let header = dwarf.debug_info.header_from_offset(unit)?;
    let unit = units::open(dwarf, header, budget)?;
    positions(dwarf, &unit, addresses, found, budget)?;
    let mut inlined = vec![Vec::new(); addresses.len()];
    let outcome = inlined_at(dwarf, &unit, addresses, &mut inlined, budget);
    for (lines, inlined) in found.iter_mut().zip(inlined) {
        let Some(mut position) = lines.pop() else {
            continue;
        };
        // Innermost first: each inlined function names the line reached so far, and where it was
        // called.
        for call in inlined.into_iter().rev() {
            if budget.spend_line().is_err() {
                break;
            }
            let entry = unit.entry(call.entry)?;
            position.function = name(dwarf, &unit, &entry, MAX_NAME_DEPTH, budget)?;
            lines.push(position);
            position = SourceLine {
                function: None,
                file: file_name(dwarf, &unit, call.file, budget)?,
                line: call.line,
                column: call.column,
            };
        }
        lines.push(position);
    }
    outcome
}

/// The line table's rows for addresses: adds a position for each that has one.
fn positions(
    dwarf: &Sections<'_>,
    unit: &Unit<Reader<'_>>,
    addresses: &[u64],
    found: &mut [Vec<SourceLine>],
    budget: &mut Budget,
) -> Result<(), Stop> {
    let Some(program) = unit.line_program.clone() else {
        return Ok(());
    };
    // A row takes at least a byte.
    budget.spend(program.header().raw_program_buf().len() as u64)?;
    let mut rows = program.rows();
    let mut before: Option<(u64, u32, u32)> = None;
    let (mut start, mut left) = (0, addresses.len());
    while let Some((_, row)) = rows.next_row()? {
        if let Some((file, line, column)) = before
            && start < row.address()
        {
            let first = addresses.partition_point(|address| *address < start);
            let here = addresses[first..].iter().zip(&mut found[first..]);
            for (_, lines) in here.take_while(|(address, _)| **address < row.address()) {
                if !lines.is_empty() {
                    continue;
                }
                budget.spend_line()?;
                lines.push(SourceLine {
                    function: None,
                    file: file_name(dwarf, unit, file, budget)?,
                    line,
                    column,
                });
                left -= 1;
            }
            if left == 0 {
                return Ok(());
            }
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
    Ok(())
}

/// The path of a unit's file; empty if it has none of that number.
fn file_name(
    dwarf: &Sections<'_>,
    unit: &Unit<Reader<'_>>,
    index: u64,
    budget: &mut Budget,
) -> Result<String, Stop> {
    let Some(program) = &unit.line_program else {
        return Ok(String::new());
    };
    let header = program.header();
    let Some(file) = header.file(index) else {
        return Ok(String::new());
    };
    let mut text = |value| -> Result<String, Stop> {
        let text = dwarf.attr_string(unit, value)?;
        budget.spend(text.len() as u64 / 16)?;
        Ok(shortened(text.slice(), MAX_NAME))
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
    Ok(path)
}

/// An inlined function around an address.
#[derive(Clone)]
struct Inlined {
    /// Its entry.
    entry: UnitOffset,
    file: u64,
    line: u32,
    column: u32,
}

/// The inlined functions around each address, outermost first.
fn inlined_at(
    dwarf: &Sections<'_>,
    unit: &Unit<Reader<'_>>,
    addresses: &[u64],
    found: &mut [Vec<Inlined>],
    budget: &mut Budget,
) -> Result<(), Stop> {
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        budget.spend(1 + entry.attrs().len() as u64)?;
        let inlined = match entry.tag() {
            gimli::DW_TAG_inlined_subroutine => true,
            gimli::DW_TAG_subprogram => false,
            _ => continue,
        };
        let mut inside = Vec::new();
        let mut ranges = dwarf.die_ranges(unit, entry)?;
        while let Some(range) = ranges.next()? {
            budget.spend(1)?;
            let first = addresses.partition_point(|address| *address < range.begin);
            let end = addresses.partition_point(|address| *address < range.end);
            inside.extend(first..end.max(first));
        }
        inside.sort_unstable();
        inside.dedup();
        budget.spend(inside.len() as u64)?;
        for at in inside {
            if !inlined {
                found[at].clear();
            } else if found[at].len() < MAX_INLINED {
                found[at].push(call_of(entry));
            }
        }
    }
    Ok(())
}

/// Where an inlined function was called.
fn call_of(entry: &DebuggingInformationEntry<Reader<'_>>) -> Inlined {
    let number = |name| entry.attr_value(name).and_then(|value| value.udata_value());
    let small = |name| {
        let value = number(name).unwrap_or(0);
        u32::try_from(value).unwrap_or(0)
    };
    let file = match entry.attr_value(gimli::DW_AT_call_file) {
        Some(AttributeValue::FileIndex(index)) => index,
        _ => number(gimli::DW_AT_call_file).unwrap_or(0),
    };
    Inlined {
        entry: entry.offset(),
        file,
        line: small(gimli::DW_AT_call_line),
        column: small(gimli::DW_AT_call_column),
    }
}

/// A function's name, following references to its abstract instance or declaration in this unit.
fn name(
    dwarf: &Sections<'_>,
    unit: &Unit<Reader<'_>>,
    entry: &DebuggingInformationEntry<Reader<'_>>,
    depth: usize,
    budget: &mut Budget,
) -> Result<Option<String>, Stop> {
    if let Some(value) = entry.attr_value(gimli::DW_AT_name) {
        let text = dwarf.attr_string(unit, value)?;
        budget.spend(1 + text.len() as u64 / 16)?;
        return Ok(Some(shortened(text.slice(), MAX_NAME)));
    }
    if depth == 0 {
        return Ok(None);
    }
    for reference in [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification] {
        budget.spend(1)?;
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
        if let Some(name) = name(dwarf, unit, &target, depth - 1, budget)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
