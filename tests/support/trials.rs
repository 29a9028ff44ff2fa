//! The `main` of harnesses whose trials are read from files.

use anyhow::Result;
use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

/// Runs what `read` gives, as the command line says; `what` is named if it cannot be read.
pub fn run(what: &str, read: impl FnOnce() -> Result<Vec<Trial>>) -> ExitCode {
    let arguments = Arguments::from_args();
    match read() {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("error: cannot read {what}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
