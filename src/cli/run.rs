//! `trampette run`.

use super::compile::{CodeArguments, InputArguments, progress_bar};
use crate::input::{self, Input};
use anyhow::{Context, Result, bail};
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
    /// INPUT is an artifact: native code, which is run without any check of what it does. Give it
    /// only for what you compiled yourself (docs/trust.md).
    #[arg(long)]
    precompiled: bool,
    #[command(flatten)]
    subject: Subject,
}

/// Runs; gives the process's exit code.
pub(super) fn run(arguments: &RunArguments) -> Result<u8> {
    let component = match arguments.precompiled {
        true => load(arguments)?,
        false => compile(arguments)?,
    };
    trampette_runner::run(&component, &arguments.guest, &arguments.subject)
}

/// Loads an artifact.
fn load(arguments: &RunArguments) -> Result<Component> {
    let path = arguments.subject.input();
    arguments.code.refuse_for_artifact(path)?;
    if input::is_standard(path) {
        let bytes = input::read_artifact(path)?;
        // SAFETY: the user says by the option that it is trusted.
        return unsafe { Component::from_bytes(&bytes) }.context("standard input");
    }
    // SAFETY: as above.
    Ok(unsafe { Component::from_file(path) }?)
}

/// Compiles a component or core module, and loads it.
fn compile(arguments: &RunArguments) -> Result<Component> {
    let path = arguments.subject.input();
    let input = arguments.taken.read(path)?;
    if let Input::Artifact(_) = input {
        bail!(
            "{0} is a compiled artifact: native code that could do anything. If you compiled it \
             yourself, run it with `trampette run --precompiled {0}`",
            input::name(path)
        );
    }
    arguments.code.check_core_modules(&input)?;
    let options = arguments.code.options();
    let progress = progress_bar(&format!("compiling {}", input::name(path)));
    let artifact = input.into_artifact(&options);
    progress.finish_and_clear();
    let loaded = artifact.and_then(|artifact| match options.unsafe_intrinsics_import {
        None => artifact.load(),
        // SAFETY: the compiler made it, and the user allows it the host's memory by an option.
        Some(_) => Ok(unsafe { Component::from_bytes(artifact.bytes()) }?),
    });
    loaded.with_context(|| input::name(path))
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

/// Compiles a component or core module, and loads it.
fn compile(path: &Path, code: &CodeArguments) -> Result<Component> {
    let input = input::read(path)?;
    if let Input::Artifact(_) = input {
        bail!(
            "{0} is a compiled artifact: native code that could do anything. If you compiled it \
             yourself, run it with `trampette run --precompiled {0}`",
            path.display()
        );
    }
    let options = code.options();
    let progress = progress_bar(&format!("compiling {}", path.display()));
    let artifact = input.into_artifact(&options);
    progress.finish_and_clear();
    let loaded = artifact.and_then(|artifact| match options.unsafe_intrinsics_import {
        None => artifact.load(),
        // SAFETY: the compiler made it, and the user allows it the host's memory by an option.
        Some(_) => Ok(unsafe { Component::from_bytes(artifact.bytes()) }?),
    });
    loaded.with_context(|| path.display().to_string())
}
