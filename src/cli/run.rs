//! `trampette run`.

use super::compile::{CodeArguments, progress_bar};
use crate::input::{self, Input};
use anyhow::{Context, Result};
use clap::Args;
use std::path::PathBuf;
use trampette_runner::GuestArguments;
use trampette_runtime::Component;

/// Arguments of `trampette run`.
#[derive(Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    guest: GuestArguments,
    #[command(flatten)]
    code: CodeArguments,
    /// A component or core module, which is compiled in memory first, or an artifact.
    input: PathBuf,
    /// The guest's arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs; gives the process's exit code.
pub(super) fn run(arguments: RunArguments) -> Result<u8> {
    let path = &arguments.input;
    let artifact = match input::read(path)? {
        Input::Artifact(bytes) => bytes,
        input => {
            let progress = progress_bar(&format!("compiling {}", path.display()));
            let artifact = input.into_artifact(&arguments.code.options());
            progress.finish_and_clear();
            artifact.with_context(|| path.display().to_string())?
        }
    };
    let component = Component::from_bytes(&artifact).with_context(|| path.display().to_string())?;
    drop(artifact);
    let program = path.file_name().unwrap_or_default().to_string_lossy();
    trampette_runner::run(&component, &arguments.guest, &program, &arguments.arguments)
}
