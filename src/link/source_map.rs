//! Source lines of a core module, from the line tables of its own DWARF.
//!
//! The tables come from the input, so they may say anything: what is damaged gives no lines. Each
//! is read once, and nothing is followed but offsets that grow, so the work is linear in their
//! size.

use crate::program::module::Module;
use gimli::{AttributeValue, LineProgramHeader};
use gimli::{DebugLine, DebugLineOffset, DebugLineStr, DebugStr, EndianSlice, LittleEndian};
use std::collections::HashMap;
use trampette_artifact::text::shortened;

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// Bytes of a table's header that are read: they take up to a hundred times as many in memory.
const MAX_HEADER: u64 = 1 << 20;
/// Bytes of a part of a path.
const MAX_NAME: usize = 4096;

/// A place in the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    /// An index of [`SourceMap::files`].
    pub file: usize,
    /// From 1.
    pub line: u32,
    /// From 1; 0 if unknown.
    pub column: u32,
}

/// Where a module's code was written.
#[derive(Default)]
pub(crate) struct SourceMap {
    /// Paths.
    pub files: Vec<String>,
    /// Where each row's code begins in the input, and what it comes from; sorted. `None` where
    /// nothing is known from there on.
    rows: Vec<(u64, Option<Line>)>,
}

impl SourceMap {
    /// Reads the line tables of a module.
    pub(crate) fn of(module: &Module<'_>) -> SourceMap {
        let section = |name: &str| {
            let mut sections = module.custom_sections.iter();
            let found = sections.find(|(other, _)| *other == name);
            found.map_or(&[][..], |(_, contents)| contents)
        };
        let mut map = SourceMap::default();
        let bytes = section(".debug_line");
        let strings = Strings {
            line: DebugLineStr::from(EndianSlice::new(section(".debug_line_str"), LittleEndian)),
            plain: DebugStr::new(section(".debug_str"), LittleEndian),
        };
        let (mut at, mut paths) = (0, HashMap::new());
        while let Some((end, header)) = extent(&bytes[at..]) {
            if header <= MAX_HEADER {
                // A damaged table does not hide the others.
                let code = module.code_section_start as u64;
                let _ = map.add(&bytes[..at + end], at, code, &strings, &mut paths);
            }
            at += end;
        }
        map.rows
            .sort_by_key(|(address, line)| (*address, line.is_some()));
        map
    }

    /// Adds the rows of the table at an offset.
    fn add(
        &mut self,
        section: &[u8],
        at: usize,
        code: u64,
        strings: &Strings<'_>,
        paths: &mut HashMap<String, usize>,
    ) -> gimli::Result<()> {
        let section = DebugLine::new(section, LittleEndian);
        let program = section.program(DebugLineOffset(at), 4, None, None)?;
        let mut files = HashMap::new();
        let mut rows = program.rows();
        while let Some((header, row)) = rows.next_row()? {
            let line = row.line().map_or(0, |line| line.get());
            let known = !row.end_sequence() && line != 0;
            let line = known.then(|| {
                let index = row.file_index();
                let file = *files.entry(index).or_insert_with(|| {
                    let path = strings.path(header, index).unwrap_or_default();
                    let next = self.files.len();
                    let file = *paths.entry(path.clone()).or_insert(next);
                    if file == next {
                        self.files.push(path);
                    }
                    file
                });
                let column = match row.column() {
                    gimli::ColumnType::LeftEdge => 0,
                    gimli::ColumnType::Column(column) => column.get(),
                };
                Line {
                    file,
                    line: u32::try_from(line).unwrap_or(0),
                    column: u32::try_from(column).unwrap_or(0),
                }
            });
            self.rows.push((code.saturating_add(row.address()), line));
        }
        Ok(())
    }

    /// Whether it knows nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What the instruction at an offset of the input comes from.
    pub(crate) fn find(&self, offset: u32) -> Option<Line> {
        let after = self
            .rows
            .partition_point(|(at, _)| *at <= u64::from(offset));
        self.rows[..after].last()?.1
    }
}

/// The length of the table that begins here, and of its header.
fn extent(bytes: &[u8]) -> Option<(usize, u64)> {
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let length = number(0)?;
    // Tables of 64-bit DWARF are of modules larger than 4 GiB.
    let end = usize::try_from(length).ok()?.checked_add(4)?;
    if length >= 0xffff_fff0 || end > bytes.len() {
        return None;
    }
    let version = u16::from_le_bytes(bytes.get(4..6)?.try_into().ok()?);
    let header = number(if version >= 5 { 8 } else { 6 })?;
    Some((end, header.into()))
}

/// Where texts are that tables refer to.
struct Strings<'a> {
    line: DebugLineStr<Reader<'a>>,
    plain: DebugStr<Reader<'a>>,
}

impl Strings<'_> {
    fn path(&self, header: &LineProgramHeader<Reader<'_>>, index: u64) -> Option<String> {
        let file = header.file(index)?;
        let path = self.text(&file.path_name())?;
        let directory = file.directory(header).and_then(|it| self.text(&it));
        match directory {
            Some(directory) if !path.starts_with('/') && !directory.is_empty() => {
                Some(format!("{directory}/{path}"))
            }
            _ => Some(path),
        }
    }

    fn text(&self, value: &AttributeValue<Reader<'_>>) -> Option<String> {
        let text = match value {
            AttributeValue::String(text) => *text,
            AttributeValue::DebugLineStrRef(offset) => self.line.get_str(*offset).ok()?,
            AttributeValue::DebugStrRef(offset) => self.plain.get_str(*offset).ok()?,
            _ => return None,
        };
        // A zero byte would end it early.
        Some(shortened(text.slice(), MAX_NAME).replace('\0', "\u{fffd}"))
    }
}
