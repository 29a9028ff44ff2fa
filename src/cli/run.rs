//! `trampette run`.

use super::compile::{CodeArguments, InputArguments, progress_bar};
use super::{EXIT_CODES, Verbosity};
use crate::input::{self, Input};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::Path;
use std::time::Instant;
use trampette_runner::grants::Subject;
use trampette_runner::serve::Loading;
use trampette_runner::{GuestArguments, output};
use trampette_runtime::Component;

/// Arguments of `trampette run`.
#[derive(Args)]
#[command(
    override_usage = "trampette run [OPTIONS] <INPUT> [ARGUMENTS]...",
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}")
)]
pub(super) struct RunArguments {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    guest: GuestArguments,
    #[command(flatten)]
    source: Source,
}

/// What is run or served, and how it is compiled.
#[derive(Args, Clone)]
pub(super) struct Source {
    /// INPUT is an artifact: native code, which is run without any check of what it does
    ///
    /// Give it only for what you compiled yourself (docs/trust.md).
    #[arg(long)]
    precompiled: bool,
    #[command(flatten)]
    taken: InputArguments,
    #[command(flatten)]
    code: CodeArguments,
}

const EXAMPLES: &str = "\
Examples:
  trampette run app.wasm one --two              what follows app.wasm is the guest's
  trampette run --dir data::/data --timeout 2.5 app.wasm
  trampette run --invoke 'greet(\"Ada\")' plugin.wasm
  trampette run --precompiled app.elf           an artifact that you trust";

/// Runs; gives the process's exit code.
pub(super) fn run(arguments: &RunArguments, verbosity: Verbosity) -> Result<u8> {
    let path = arguments.subject.input();
    let component = (arguments.source).component("run", path, Loading::Mapped, verbosity)?;
    trampette_runner::run(&component, &arguments.guest, &arguments.subject)
}

impl Source {
    /// What is to be run, loaded or compiled.
    ///
    /// # Errors
    /// If it is no component, core module or artifact, or cannot be compiled.
    pub(super) fn component(
        &self,
        command: &str,
        path: &Path,
        loading: Loading,
        verbosity: Verbosity,
    ) -> Result<Component> {
        match self.precompiled {
            true => load(self, path, loading),
            false => compile(self, command, path, verbosity),
        }
    }
}

/// Loads an artifact.
fn load(source: &Source, path: &Path, loading: Loading) -> Result<Component> {
    source.code.refuse_for_artifact(path)?;
    source.taken.refuse_for_artifact(path)?;
    if input::is_standard(path) || loading == Loading::Copied {
        let bytes = input::read_artifact(path)?;
        // SAFETY: the user says by the option that it is trusted.
        return unsafe { Component::from_bytes(&bytes) }.with_context(|| input::name(path));
    }
    // SAFETY: as above.
    Ok(unsafe { Component::from_file(path) }?)
}

/// Compiles a component or core module, and loads it.
fn compile(source: &Source, command: &str, path: &Path, verbosity: Verbosity) -> Result<Component> {
    let input = source.taken.read(path)?;
    if let Input::Artifact(_) = input {
        bail!(
            "{0} is a compiled artifact: native code that could do anything. If you compiled it \
             yourself, {command} it with `trampette {command} --precompiled {0}`",
            input::name(path)
        );
    }
    source.code.check_core_modules(&input)?;
    let options = source.taken.options(&source.code);
    let progress = progress_bar(&input::name(path), &options, verbosity);
    let start = Instant::now();
    let artifact = input.into_artifact(&options);
    progress.finish_and_clear();
    if verbosity.details() {
        let seconds = start.elapsed().as_secs_f64();
        output::note(format!("compiled {} in {seconds:.1} s", input::name(path)));
    }
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
            self.source.taken,
            self.source.code.options()
        )
    }
}
