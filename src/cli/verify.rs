//! `trampette verify`: proves what can be proved of artifacts.

use crate::input;
use anyhow::{Context, Result};
use clap::Args;
use std::path::{Path, PathBuf};
use trampette_runner::output;

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
            Ok(summary) => output::print(&format!("{}: {summary}\n", input::name(path)))?,
            Err(error) => {
                output::error(&error);
                code = 1;
            }
        }
    }
    Ok(code)
}

fn verify_file(path: &Path) -> Result<crate::verify::Summary> {
    let bytes = input::read_artifact(path)?;
    crate::verify::verify(&bytes).with_context(|| input::name(path))
}
