//! `trampette verify`: proves what can be proved of artifacts.

use crate::input;
use crate::verify::Summary;
use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use trampette_runner::output;

/// Arguments of `trampette verify`.
#[derive(Args)]
pub(super) struct VerifyArguments {
    /// Artifacts that this version compiled, for a processor like this one
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// Print everything as one JSON document
    #[arg(long)]
    json: bool,
}

/// Verifies each file and prints a line for it; gives the process's exit code: 1 if any of them is
/// not consistent.
///
/// # Errors
/// If nothing can be printed.
pub(super) fn verify(arguments: &VerifyArguments) -> Result<u8> {
    let mut code = 0;
    let mut documents = Vec::new();
    for path in &arguments.paths {
        let verified = verify_file(path);
        if arguments.json {
            code |= u8::from(verified.is_err());
            documents.push(document(path, verified));
            continue;
        }
        match verified {
            Ok(summary) => output::print(&format!("{}: {summary}\n", input::name(path)))?,
            Err(error) => {
                output::error(&error);
                code = 1;
            }
        }
    }
    if arguments.json {
        super::print_json(&json!(documents))?;
    }
    Ok(code)
}

fn document(path: &Path, verified: Result<Summary>) -> serde_json::Value {
    let path = input::name(path);
    match verified {
        Ok(found) => json!({
            "path": path,
            "consistent": true,
            "functions": found.functions,
            "entries": found.entries,
            "sites": found.sites,
        }),
        Err(error) => json!({
            "path": path,
            "consistent": false,
            "error": format!("{error:#}"),
        }),
    }
}

fn verify_file(path: &Path) -> Result<Summary> {
    let bytes = input::read_artifact(path)?;
    crate::verify::verify(&bytes).with_context(|| input::name(path))
}
