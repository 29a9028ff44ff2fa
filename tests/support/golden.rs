//! Comparing text with a golden file.

use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::path::Path;

/// Whether golden files are written instead of compared.
pub fn blesses() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// Fails if the file holds something else, and shows where; with `BLESS=1` writes it instead.
pub fn check(golden: &Path, found: &str) -> Result<()> {
    if blesses() {
        return Ok(std::fs::write(golden, found)?);
    }
    let expected = std::fs::read_to_string(golden)
        .with_context(|| format!("{}; BLESS=1 writes it", golden.display()))?;
    if found != expected {
        bail!(
            "{}\nBLESS=1 writes what was found",
            difference(&expected, found)
        );
    }
    Ok(())
}

/// The lines that differ, from the first to the last, with a few equal ones around them.
fn difference(expected: &str, found: &str) -> String {
    let expected: Vec<&str> = expected.lines().collect();
    let found: Vec<&str> = found.lines().collect();
    let pairs = || expected.iter().zip(&found);
    let before = pairs().take_while(|(a, b)| a == b).count();
    let left = expected.len().min(found.len()) - before;
    let after = expected.iter().rev().zip(found.iter().rev());
    let after = after.take(left).take_while(|(a, b)| a == b).count();
    let start = before.saturating_sub(3);
    let mut text = format!("differs from line {} on:\n", before + 1);
    let mut add = |sign: &str, lines: &[&str]| {
        for line in lines {
            writeln!(text, "{sign}{line}").expect("text grows");
        }
    };
    add("  ", &expected[start..before]);
    add("- ", &expected[before..expected.len() - after]);
    add("+ ", &found[before..found.len() - after]);
    let end = expected.len() - after;
    add("  ", &expected[end..expected.len().min(end + 3)]);
    text
}
