//! `trampette run`.

use super::compile::{CodeArguments, InputArguments, progress_bar};
use crate::input::{self, Input};
use anyhow::{Context, Result};
use clap::Args;
use trampette_runner::GuestArguments;
use trampette_runner::grants::Subject;
use trampette_runtime::Component;

/// Arguments of `trampette run`.
#[derive(Args)]
#[command(override_usage = "trampette run [OPTIONS] <INPUT> [ARGUMENTS]...")]
pub(super) struct RunArguments {
    #[command(flatten)]
    guest: GuestArguments,
    #[command(flatten)]
    taken: InputArguments,
    #[command(flatten)]
    code: CodeArguments,
    #[command(flatten)]
    subject: Subject,
}

/// Runs; gives the process's exit code.
pub(super) fn run(arguments: &RunArguments) -> Result<u8> {
    let path = arguments.subject.input();
    let artifact = match arguments.taken.read(path)? {
        Input::Artifact(bytes) => {
            arguments.code.refuse_for_artifact(path)?;
            bytes
        }
        input => {
            arguments.code.check_core_modules(&input)?;
            let progress = progress_bar(&format!("compiling {}", input::name(path)));
            let artifact = input.into_artifact(&arguments.code.options());
            progress.finish_and_clear();
            artifact.with_context(|| input::name(path))?
        }
    };
    let component = Component::from_bytes(&artifact).with_context(|| input::name(path))?;
    drop(artifact);
    trampette_runner::run(&component, &arguments.guest, &arguments.subject)
}

#[cfg(test)]
impl RunArguments {
    /// The guest's arguments.
    pub(super) fn left_to_the_guest(&self) -> Vec<String> {
        self.subject.arguments().unwrap()
    }

    /// Everything but the subject, as text.
    pub(super) fn options(&self) -> String {
        format!(
            "{:?} {:?} {:?}",
            self.guest,
            self.taken,
            self.code.options()
        )
    }
}
