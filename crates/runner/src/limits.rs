//! Limits that a command line sets, and what is said when a guest met one.

use crate::output::shown;
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::fmt;
use std::str::FromStr;
use trampette_artifact::text::Bytes;
use trampette_runtime::{LimitReached, StoreLimits, Trap, TrapCode};

/// Stack that the main thread surely has beyond what guests use by default.
const MAIN_THREAD_STACK: u64 = 4 << 20;

/// What the host itself needs of a stack below the guest.
const HOST_STACK: u64 = 2 << 20;

/// What the memories and tables beside the largest memory may have.
const OTHER_MEMORY: u64 = 1 << 30;

/// A number of bytes: `128M`, `64KiB`, `65536`; units are powers of 1,024.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Size> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        ensure!(
            !number.is_empty(),
            "expected a size such as 65536, 64K or 128M"
        );
        let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
            "" | "b" | "byte" | "bytes" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => anyhow::bail!("unknown unit `{}`; known are K, M, G and T", shown(unit)),
        };
        let bytes = number.parse::<u64>().ok();
        let bytes = bytes.and_then(|number| number.checked_mul(1 << shift));
        Ok(Size(bytes.context("the size has more than 64 bits")?))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Bytes(self.0).fmt(f)
    }
}

/// Options that limit what a guest may use.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Limits")]
pub struct LimitArguments {
    /// Let no linear memory grow beyond this, such as 128M [default: 4G]
    #[arg(long, value_name = "SIZE")]
    max_memory: Option<Size>,
    /// Let the guest's calls use no more stack than this [default: 1M]
    #[arg(long, value_name = "SIZE")]
    max_stack: Option<Size>,
    /// Let no table grow beyond so many entries [default: 10000000]
    #[arg(long, value_name = "N")]
    max_table_elements: Option<u64>,
}

impl LimitArguments {
    /// The store's limits.
    ///
    /// # Errors
    /// If one is larger than this machine has addresses.
    pub(crate) fn limits(&self) -> Result<StoreLimits> {
        let mut limits = StoreLimits::default();
        if let Some(Size(bytes)) = self.max_memory {
            limits.memory_bytes = bytes;
            // One such memory fits, and other things beside it.
            let with_others = bytes.saturating_add(OTHER_MEMORY);
            limits.total_memory_bytes = limits.total_memory_bytes.max(with_others);
        }
        if let Some(Size(bytes)) = self.max_stack {
            ensure!(bytes <= 16 << 30, "--max-stack: 16 GiB at most");
            limits.stack_bytes = usize::try_from(bytes).context("--max-stack")?;
        }
        if let Some(entries) = self.max_table_elements {
            limits.table_entries = entries;
        }
        Ok(limits)
    }

    /// How large a stack a thread must have for the guest; `None` if the main thread's does.
    pub(crate) fn thread_stack(&self) -> Option<usize> {
        let Size(bytes) = self.max_stack?;
        let needed = bytes.checked_add(HOST_STACK)?;
        (bytes > MAIN_THREAD_STACK).then(|| usize::try_from(needed).ok())?
    }

    /// What to say of limits after a trap: those that the guest met, though it may have seen only
    /// that something failed.
    pub(crate) fn notes(&self, trap: &Trap, reached: Option<LimitReached>) -> Vec<String> {
        let mut notes = Vec::new();
        if trap.kind() == TrapCode::StackOverflow
            && let Ok(limits) = self.limits()
        {
            let size = Size(limits.stack_bytes as u64);
            notes.push(format!(
                "note: the limit of {size} for the stack was reached (--max-stack)"
            ));
        }
        match reached {
            Some(LimitReached::Memory { limit }) => notes.push(format!(
                "note: the limit of {} for a memory was reached (--max-memory)",
                Size(limit)
            )),
            Some(LimitReached::TotalMemory { limit }) => notes.push(format!(
                "note: the limit of {} for all memories together was reached",
                Size(limit)
            )),
            Some(LimitReached::Table { limit }) => notes.push(format!(
                "note: the limit of {limit} entries for a table was reached (--max-table-elements)"
            )),
            _ => {}
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        let size = |text: &str| text.parse::<Size>().ok().map(|size| size.0);
        for (text, bytes) in [
            ("0", Some(0)),
            ("65536", Some(65536)),
            ("64K", Some(65536)),
            ("64 KiB", Some(65536)),
            ("128m", Some(128 << 20)),
            ("4GB", Some(4 << 30)),
            ("16777215T", Some(16777215 << 40)),
            ("16777216T", None),
            ("", None),
            ("M", None),
            ("-1", None),
            ("1.5M", None),
            ("1X", None),
            ("18446744073709551616", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
        for (bytes, text) in [
            (0, "0 bytes"),
            (1000, "1000 bytes"),
            (1 << 20, "1 MiB"),
            (96 << 10, "96 KiB"),
            (4 << 30, "4 GiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
            assert_eq!(text.parse::<Size>().ok(), Some(Size(bytes)), "{text}");
        }
    }
}
