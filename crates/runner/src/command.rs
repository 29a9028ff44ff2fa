//! The command `trampette-run`: runs compiled artifacts, with no compiler in the process.

use crate::grants::Subject;
use crate::serve::{Loading, ServeArguments};
use crate::{GuestArguments, output};
use anyhow::{Context, Result, ensure};
use clap::{CommandFactory, Parser};
use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use trampette_runtime::{Component, FileKind, detect_file};

/// Run an artifact that `trampette compile` made. It is native code: run only what you would
/// execute.
#[derive(Parser)]
#[command(
    name = "trampette-run",
    version,
    about,
    override_usage = "trampette-run [OPTIONS] <INPUT> [ARGUMENTS]...\n       \
                      trampette-run serve [OPTIONS] <INPUT>",
    after_help = "`trampette-run serve --help` says how an artifact serves HTTP. A file of the name \
                  `serve` is run as ./serve."
)]
struct Arguments {
    #[command(flatten)]
    guest: GuestArguments,
    #[command(flatten)]
    subject: Subject,
}

/// Serve HTTP with an artifact that `trampette compile` made. It is native code: serve only what
/// you would execute.
#[derive(Parser)]
#[command(name = "trampette-run serve", version, about)]
struct Serving {
    #[command(flatten)]
    serve: ServeArguments,
}

/// The definition of the command line, for whoever writes about it: this command has no room for
/// its own manual page.
pub fn definition() -> clap::Command {
    Arguments::command()
}

/// Runs the command with the process's arguments. Exit codes are those of [`crate::run`]; 2 for
/// wrong usage.
pub fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "serve") {
        // The name of the command is both words.
        arguments.remove(1);
        return match output::parse::<Serving>(arguments) {
            Ok(serving) => output::exit_code(serve(&serving.serve)),
            Err(code) => code,
        };
    }
    match output::parse::<Arguments>(arguments) {
        Ok(arguments) => output::exit_code(run(&arguments)),
        Err(code) => code,
    }
}

fn run(arguments: &Arguments) -> Result<u8> {
    let component = load(arguments.subject.input(), Loading::Mapped)?;
    crate::run(&component, &arguments.guest, &arguments.subject)
}

fn serve(arguments: &ServeArguments) -> Result<u8> {
    let input = arguments.input().to_path_buf();
    crate::serve::serve(Box::new(move |loading| load(&input, loading)), arguments)
}

fn load(path: &Path, loading: Loading) -> Result<Component> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        read.context("cannot read standard input")?;
        ensure!(
            bytes.starts_with(b"\x7fELF"),
            "standard input: {NOT_COMPILED}"
        );
        // SAFETY: that the artifact is trusted is what this command is for; its help says so.
        return unsafe { Component::from_bytes(&bytes) }.context("standard input");
    }
    let name = path.display();
    let kind = detect_file(path).with_context(|| format!("cannot read {name}"))?;
    ensure!(
        matches!(kind, FileKind::Artifact { .. } | FileKind::OtherElf),
        "{name}: {NOT_COMPILED}; compile it first: trampette compile {name}"
    );
    match loading {
        // SAFETY: as above.
        Loading::Mapped => Ok(unsafe { Component::from_file(path) }?),
        Loading::Copied => {
            let bytes = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
            // SAFETY: as above.
            unsafe { Component::from_bytes(&bytes) }.with_context(|| name.to_string())
        }
    }
}

const NOT_COMPILED: &str = "not an artifact of Trampette";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::granted::options_of_guests;
    use crate::grants::spellings;

    /// A guest is given the same by both, in the same words.
    #[test]
    fn run_and_serve_have_the_same_options_of_guests() {
        let run = options_of_guests(&Arguments::command());
        assert!(run.len() > 10, "{run:?}");
        assert_eq!(run, options_of_guests(&Serving::command()));
    }

    #[test]
    fn what_stands_behind_the_input_is_the_guests() {
        let spellings = spellings(&Arguments::command());
        assert!(spellings.len() > 10, "{spellings:?}");
        for option in spellings {
            let line = ["trampette-run", "--dir=a", "x", &option, "--", &option];
            let Ok(arguments) = Arguments::try_parse_from(line) else {
                panic!("{option} is not left to the guest");
            };
            assert_eq!(
                arguments.subject.arguments().unwrap(),
                [&option, "--", &option]
            );
            let without = Arguments::try_parse_from(["trampette-run", "--dir=a", "x"]).unwrap();
            let guests = [arguments.guest, without.guest];
            assert_eq!(format!("{:?}", guests[0]), format!("{:?}", guests[1]));
        }
    }
}
