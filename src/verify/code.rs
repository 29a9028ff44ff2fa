//! The code of one function: where its instructions are, and where they lead.
//!
//! A function is instructions, one after the other, then constants. Tables of jumps are between the
//! instructions, each right behind the sequence that uses it:
//!
//! ```text
//! mov   $N, %index limit        N cases, and the default behind them
//! …                             the index is clamped to N
//! lea   table(%rip), %a
//! movslq (%a, %index, 4), %b
//! add   %b, %a
//! jmp   *%a
//! table: N + 1 times the distance of a block from the table
//! ```

use super::decode::{Instruction, Kind};
use super::functions::{Function, Functions};
use super::image::{Image, Text};
use crate::trampolines::is_entry;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::header::section;

/// Constants are aligned to at most this; before them are zeros.
const CONSTANT_ALIGNMENT: usize = 64;

/// The instructions of a function that lead somewhere, and where all of them start. Addresses are
/// offsets in the file.
pub(super) struct Code {
    function: Function,
    address: u64,
    /// Where instructions start, sorted.
    starts: Vec<u64>,
    /// Calls: what is behind them, and what they call if they are direct ones; sorted.
    calls: Vec<(u64, Option<u64>)>,
    /// What is behind jumps to other functions; sorted.
    tail_calls: Vec<u64>,
    /// Jumps: where they are, and where they go.
    jumps: Vec<(u64, u64, Reach)>,
    /// Operands: where their instructions are, and their addresses.
    relative: Vec<(u64, u64)>,
    /// Where constants start.
    constants: u64,
    tables: BTreeSet<u64>,
}

/// How far a jump may go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It stays in its function.
    Inside,
    /// It may be a tail call.
    Anywhere,
}

/// Reads a function.
///
/// # Errors
/// If its bytes are not instructions, tables and constants in this order, or it goes on behind its
/// end.
pub(super) fn read(
    text: &Text<'_>,
    function: &Function,
    decode: &impl Fn(&[u8], u64) -> Result<Vec<Instruction>>,
) -> Result<Code> {
    let (start, end) = (
        text.file_offset(function.start),
        text.file_offset(function.end),
    );
    let mut code = Code {
        function: *function,
        address: text.address,
        starts: Vec::new(),
        calls: Vec::new(),
        tail_calls: Vec::new(),
        jumps: Vec::new(),
        relative: Vec::new(),
        constants: end,
        tables: BTreeSet::new(),
    };
    let bytes = |from: u64, to: u64| {
        &text.code[(from - text.address) as usize..(to - text.address) as usize]
    };
    // Addresses in this function that instructions so far refer to: constants, and tables to come.
    let mut data = BTreeSet::new();
    let (mut at, mut cases, mut last) = (start, None, Kind::Other);
    'sweep: while at < end {
        let instructions = decode(bytes(at, end), at)?;
        let next = data.range(at..).next().copied().unwrap_or(end);
        if instructions.is_empty() && !are_zeros(bytes(at, next)) {
            bail!("no instruction at {at:#x}");
        }
        for instruction in instructions {
            let next = data.range(at..).next().copied().unwrap_or(end);
            if are_zeros(bytes(at, next)) {
                break;
            }
            ensure!(
                instruction.end <= next,
                "the instruction at {at:#x} reaches into data at {next:#x}"
            );
            code.push(instruction);
            if let Some(address) = instruction.relative
                && (start..end).contains(&address)
            {
                ensure!(
                    address >= instruction.end,
                    "the operand at {at:#x} is in code, at {address:#x}"
                );
                data.insert(address);
            }
            if let Kind::Constant(value) = instruction.kind {
                cases = Some(value);
            }
            (at, last) = (instruction.end, instruction.kind);
            let inside = |target| (start + 1..end).contains(&target);
            if last == Kind::Jump(None) && data.remove(&at) {
                let cases = cases.with_context(|| format!("how long is the table at {at:#x}?"))?;
                let table = (u64::from(cases) + 1)
                    .checked_mul(4)
                    .and_then(|length| at.checked_add(length))
                    .filter(|table| *table <= end);
                let table =
                    table.with_context(|| format!("the table at {at:#x} leaves its function"))?;
                code.read_table(at, bytes(at, table));
                at = table;
                // What was decoded behind the jump is the table.
                continue 'sweep;
            }
            if matches!(last, Kind::Jump(target) if !target.is_some_and(inside)) {
                code.tail_calls.push(at);
            }
        }
        let next = data.range(at..).next().copied().unwrap_or(end);
        if are_zeros(bytes(at, next)) {
            code.constants = at;
            break;
        }
    }
    ensure!(
        matches!(last, Kind::End | Kind::Jump(_)),
        "it goes on behind its last instruction, at {:#x}",
        code.constants
    );
    Ok(code)
}

/// Whether bytes before data, or none, only align it.
fn are_zeros(bytes: &[u8]) -> bool {
    bytes.len() < CONSTANT_ALIGNMENT && bytes.iter().all(|byte| *byte == 0)
}

impl Code {
    fn push(&mut self, instruction: Instruction) {
        let at = instruction.address;
        self.starts.push(at);
        match instruction.kind {
            Kind::Call(target) => self.calls.push((instruction.end, target)),
            Kind::Jump(Some(target)) => self.jumps.push((at, target, Reach::Anywhere)),
            Kind::Branch(target) => self.jumps.push((at, target, Reach::Inside)),
            _ => {}
        }
        if let Some(address) = instruction.relative {
            self.relative.push((at, address));
        }
    }

    fn read_table(&mut self, at: u64, entries: &[u8]) {
        self.tables.insert(at);
        for (index, entry) in entries.chunks_exact(4).enumerate() {
            let distance = i32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
            let target = at.wrapping_add_signed(i64::from(distance));
            self.jumps
                .push((at + index as u64 * 4, target, Reach::Inside));
        }
    }

    /// Whether an instruction starts at an offset in `.text`.
    pub(super) fn is_start(&self, offset: u32) -> bool {
        let address = self.address + u64::from(offset);
        self.starts.binary_search(&address).is_ok()
    }

    /// The call that returns to an offset in `.text`: the offset of what it calls, if it is a
    /// direct one.
    pub(super) fn call_before(&self, offset: u32) -> Option<Option<u32>> {
        let address = self.address + u64::from(offset);
        let at = self.calls.binary_search_by_key(&address, |it| it.0).ok()?;
        let target = self.calls[at].1;
        Some(target.and_then(|target| u32::try_from(target.checked_sub(self.address)?).ok()))
    }

    /// Whether a call or a tail call ends at an offset in `.text`.
    pub(super) fn leaves_before(&self, offset: u32) -> bool {
        let address = self.address + u64::from(offset);
        self.call_before(offset).is_some() || self.tail_calls.binary_search(&address).is_ok()
    }

    /// Every call, jump and operand leads to something that is there.
    ///
    /// # Errors
    /// If one does not.
    pub(super) fn check_targets(
        &self,
        image: &Image<'_>,
        text: &Text<'_>,
        functions: &Functions,
    ) -> Result<()> {
        let callee = |target: u64| {
            let offset = u32::try_from(target.checked_sub(text.address)?).ok()?;
            functions.starting_at(offset)
        };
        for (end, target) in &self.calls {
            let Some(target) = *target else {
                continue;
            };
            let callee = callee(target).with_context(|| {
                format!("the call before {end:#x} is to {target:#x}, where no function starts")
            })?;
            ensure!(
                !is_entry(callee.key),
                "the call before {end:#x} is to `{}`, which only the host calls",
                callee.key
            );
        }
        let own = text.file_offset(self.function.start)..text.file_offset(self.function.end);
        for (at, target, reach) in &self.jumps {
            if own.contains(target) {
                ensure!(
                    self.starts.binary_search(target).is_ok(),
                    "the jump at {at:#x} is to {target:#x}, where no instruction starts"
                );
                continue;
            }
            let callee =
                callee(*target).filter(|it| *reach == Reach::Anywhere && !is_entry(it.key));
            ensure!(
                callee.is_some(),
                "the jump at {at:#x} is to {target:#x}, where none of its functions starts"
            );
        }
        for (at, address) in &self.relative {
            let data = if own.contains(address) {
                *address >= self.constants || self.tables.contains(address)
            } else {
                is_data(image, *address)
            };
            ensure!(
                data,
                "the operand at {at:#x} is at {address:#x}, where no data is"
            );
        }
        Ok(())
    }
}

/// Whether code may refer to an address outside of `.text`.
fn is_data(image: &Image<'_>, address: u64) -> bool {
    let within = |name| {
        let place = image.find(name)?;
        // What is empty may be at the end.
        (place.start..=place.end)
            .contains(&address)
            .then(|| address - place.start)
    };
    let table = within(section::FUNCTION_TABLE);
    let got = within(section::GOT).filter(|offset| offset % 8 == 0);
    table.is_some_and(|offset| offset % 16 == 0)
        || within(section::RODATA).is_some()
        || got.is_some_and(|offset| offset / 8 < Builtin::ALL.len() as u64)
}
