//! How much is read of a guest's DWARF: what the sections say decides nothing about time and
//! memory.
//!
//! A step is about what parsing one attribute, or one opcode of a line program, costs: some
//! nanoseconds.

use gimli::{EndianSlice, LittleEndian};

/// Steps of making the index of a module's units, which is done once.
pub(super) const INDEX_STEPS: u64 = 1 << 22;
/// Steps of finding the lines of one backtrace.
pub(super) const BACKTRACE_STEPS: u64 = 1 << 23;
/// Lines of one backtrace.
const BACKTRACE_LINES: usize = 512;
/// Bytes of one unit's abbreviations, and of its line program's header. Both are kept in memory
/// while the unit is read, at up to a hundred times their size.
const HEADER_BYTES: u64 = 256 << 10;
/// Attributes of an entry.
const ATTRIBUTES: u64 = 64;

/// Why reading ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The sections are damaged, or in a form that is not read here.
    Damaged,
    /// It would take too long, or too much memory.
    Exhausted,
}

impl From<gimli::Error> for Stop {
    fn from(_: gimli::Error) -> Stop {
        Stop::Damaged
    }
}

/// What is left to be spent.
pub(crate) struct Budget {
    steps: u64,
    lines: usize,
}

impl Budget {
    /// For the index of one module.
    pub(super) fn of_index() -> Budget {
        Budget {
            steps: INDEX_STEPS,
            lines: 0,
        }
    }

    /// For one backtrace.
    pub(crate) fn of_backtrace() -> Budget {
        Budget {
            steps: BACKTRACE_STEPS,
            lines: BACKTRACE_LINES,
        }
    }

    /// Spends steps.
    pub(super) fn spend(&mut self, steps: u64) -> Result<(), Stop> {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => {
                self.steps = 0;
                Err(Stop::Exhausted)
            }
        }
    }

    /// Spends one line of the result.
    pub(super) fn spend_line(&mut self) -> Result<(), Stop> {
        self.lines = self.lines.checked_sub(1).ok_or(Stop::Exhausted)?;
        Ok(())
    }

    /// Looks at a unit's abbreviations before they are parsed.
    pub(super) fn spend_abbreviations(
        &mut self,
        section: EndianSlice<'_, LittleEndian>,
        offset: usize,
    ) -> Result<(), Stop> {
        use gimli::Reader;
        let mut input = section;
        input.skip(offset)?;
        let whole = input.len();
        // Codes, tags and whether there are children; then pairs of attribute and form.
        while input.read_uleb128()? != 0 {
            input.read_uleb128()?;
            input.read_u8()?;
            let mut attributes = 0;
            loop {
                let (name, form) = (input.read_uleb128()?, input.read_uleb128()?);
                if u64::from(gimli::DW_FORM_implicit_const.0) == form {
                    input.read_sleb128()?;
                }
                if (name, form) == (0, 0) {
                    break;
                }
                attributes += 1;
            }
            let read = (whole - input.len()) as u64;
            if attributes > ATTRIBUTES || read > HEADER_BYTES {
                return Err(Stop::Exhausted);
            }
            self.spend(2 + attributes)?;
        }
        Ok(())
    }

    /// Looks at the length of a line program's header before it is parsed.
    pub(super) fn spend_line_header(
        &mut self,
        section: EndianSlice<'_, LittleEndian>,
        offset: usize,
    ) -> Result<(), Stop> {
        use gimli::Reader;
        let mut input = section;
        input.skip(offset)?;
        let (_, format) = input.read_initial_length()?;
        if input.read_u16()? >= 5 {
            input.skip(2)?; // sizes of addresses
        }
        let length = input.read_length(format)? as u64;
        if length > HEADER_BYTES {
            return Err(Stop::Exhausted);
        }
        self.spend(length)
    }
}
