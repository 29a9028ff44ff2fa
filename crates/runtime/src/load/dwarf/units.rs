//! Which unit of a module's DWARF describes an address: an index, made when it is first needed.

use super::budget::{Budget, Stop};
use super::{Reader, Sections};
use gimli::{AttributeValue, DebugInfoOffset, Section, Unit, UnitHeader};

/// Ranges that an index keeps.
const MAX_RANGES: usize = 1 << 18;
/// Ranges that begin before an address and are looked at: ranges of functions that the linker left
/// out may overlap others.
const MAX_OVERLAPPING: usize = 16;

/// The ranges of addresses that a module's units describe.
#[derive(Default)]
pub(crate) struct UnitIndex {
    /// Begin, end, and the unit's offset; sorted.
    ranges: Vec<(u64, u64, usize)>,
}

impl UnitIndex {
    /// Reads the head of every unit, as far as the budget goes.
    pub(super) fn of(dwarf: &Sections<'_>) -> UnitIndex {
        let mut index = UnitIndex::default();
        let mut budget = Budget::of_index();
        let mut headers = dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            match index.add(dwarf, header, &mut budget) {
                // A unit that cannot be read does not hide the others.
                Ok(()) | Err(Stop::Damaged) => {}
                Err(Stop::Exhausted) if budget.spend(1).is_ok() => {}
                Err(Stop::Exhausted) => break,
            }
        }
        index.ranges.sort_unstable();
        index.ranges.shrink_to_fit();
        index
    }

    fn add(
        &mut self,
        dwarf: &Sections<'_>,
        header: UnitHeader<Reader<'_>>,
        budget: &mut Budget,
    ) -> Result<(), Stop> {
        let Some(offset) = header.debug_info_offset() else {
            return Ok(());
        };
        let unit = open(dwarf, header, budget)?;
        let mut ranges = dwarf.unit_ranges(&unit)?;
        while let Some(range) = ranges.next()? {
            budget.spend(1)?;
            if range.begin < range.end {
                if self.ranges.len() == MAX_RANGES {
                    return Err(Stop::Exhausted);
                }
                self.ranges.push((range.begin, range.end, offset.0));
            }
        }
        Ok(())
    }

    /// The unit that describes an address.
    pub(super) fn find(&self, address: u64) -> Option<DebugInfoOffset> {
        let after = self.ranges.partition_point(|(begin, ..)| *begin <= address);
        let before = self.ranges[..after].iter().rev().take(MAX_OVERLAPPING);
        let mut found = before.filter(|(_, end, _)| address < *end);
        found.next().map(|(.., unit)| DebugInfoOffset(*unit))
    }
}

/// Parses what stands before a unit's entries.
pub(super) fn open<'a>(
    dwarf: &Sections<'a>,
    header: UnitHeader<Reader<'a>>,
    budget: &mut Budget,
) -> Result<Unit<Reader<'a>>, Stop> {
    budget.spend(32)?;
    let abbreviations = *dwarf.debug_abbrev.reader();
    budget.spend_abbreviations(abbreviations, header.debug_abbrev_offset().0)?;
    let abbreviations = dwarf.abbreviations(&header)?;
    let mut entries = header.entries(&abbreviations);
    let root = entries.next_dfs()?.ok_or(Stop::Damaged)?;
    if let Some(AttributeValue::DebugLineRef(offset)) = root.attr_value(gimli::DW_AT_stmt_list) {
        budget.spend_line_header(*dwarf.debug_line.reader(), offset.0)?;
    }
    Ok(Unit::new_with_abbreviations(dwarf, header, abbreviations)?)
}
