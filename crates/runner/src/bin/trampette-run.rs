//! `trampette-run`: runs compiled artifacts, with no compiler in the process.

use anyhow::Result;
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use trampette_runner::GuestArguments;
use trampette_runtime::Component;

/// Run an artifact that `trampette compile` made.
#[derive(Parser)]
#[command(name = "trampette-run", version, about)]
struct Arguments {
    #[command(flatten)]
    guest: GuestArguments,
    /// The artifact.
    artifact: PathBuf,
    /// The guest's arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<u8> {
    let component = Component::from_file(&arguments.artifact)?;
    let program = arguments
        .artifact
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    trampette_runner::run(&component, &arguments.guest, &program, &arguments.arguments)
}
