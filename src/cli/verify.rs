//! `trampette verify`: proves what can be proved of artifacts.

use anyhow::{Context, Result};
use clap::Args;
use std::path::{Path, PathBuf};

/// Arguments of `trampette verify`.
#[derive(Args)]
pub(super) struct VerifyArguments {
    /// Artifacts that this version compiled, for a processor like this one.
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
}

/// Verifies each file and prints a line for it; gives the process's exit code: 1 if any of them is
/// not consistent.
///
/// # Errors
/// If nothing can be printed.
pub(super) fn verify(arguments: &VerifyArguments) -> Result<u8> {
    let mut code = 0;
    for path in &arguments.paths {
        match verify_file(path) {
            Ok(summary) => super::print(&format!("{}: {summary}\n", path.display()))?,
            Err(error) => {
                eprintln!("error: {}: {error:#}", path.display());
                code = 1;
            }
        }
    }
    Ok(code)
}

fn verify_file(path: &Path) -> Result<crate::verify::Summary> {
    let bytes = std::fs::read(path).context("cannot read the file")?;
    crate::verify::verify(&bytes)
}
