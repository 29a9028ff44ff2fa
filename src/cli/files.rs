//! Files that commands write: `-` is standard output, and an input is never overwritten.

use crate::artifact::write_file;
use crate::input;
use anyhow::{Result, ensure};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use trampette_runner::output;

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents<'a> {
    /// Text, which a person may read on a terminal.
    Text(&'a str),
    /// What no terminal should get.
    Binary(&'a [u8]),
}

/// Writes a file, or to standard output for `-`.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write(path: &Path, contents: Contents<'_>) -> Result<()> {
    match contents {
        Contents::Text(text) if input::is_standard(path) => output::print(text),
        Contents::Binary(bytes) if input::is_standard(path) => output::write(bytes),
        Contents::Text(text) => write_file(path, text.as_bytes()),
        Contents::Binary(bytes) => write_file(path, bytes),
    }
}

/// Checks, before there is anything to write, that an output is none of the inputs, and no terminal
/// if it is binary.
///
/// # Errors
/// If it is; the message says what to do.
pub(super) fn check_output<'p>(
    path: &Path,
    contents: Contents<'_>,
    inputs: impl IntoIterator<Item = &'p Path>,
) -> Result<()> {
    if input::is_standard(path) {
        ensure!(
            matches!(contents, Contents::Text(_)) || !output::stdout_is_terminal(),
            "an artifact is not for a terminal; name a file with -o"
        );
        return Ok(());
    }
    for other in inputs {
        ensure!(
            !is_same_file(path, other),
            "{} is the input, which would be overwritten; name another file with -o",
            path.display()
        );
    }
    Ok(())
}

/// Whether two paths lead to one regular file.
fn is_same_file(one: &Path, other: &Path) -> bool {
    match (std::fs::metadata(one), std::fs::metadata(other)) {
        (Ok(one), Ok(other)) => {
            one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino())
        }
        _ => false,
    }
}

/// A number of bytes as people read it, in decimal units.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
