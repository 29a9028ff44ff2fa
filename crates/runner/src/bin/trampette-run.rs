//! `trampette-run`: runs compiled artifacts, with no compiler in the process.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use trampette_runner::grants::Subject;
use trampette_runner::{GuestArguments, output};
use trampette_runtime::Component;

/// Run an artifact that `trampette compile` made.
#[derive(Parser)]
#[command(
    name = "trampette-run",
    version,
    about,
    override_usage = "trampette-run [OPTIONS] <INPUT> [ARGUMENTS]..."
)]
struct Arguments {
    #[command(flatten)]
    guest: GuestArguments,
    #[command(flatten)]
    subject: Subject,
}

fn main() -> ExitCode {
    match output::parse::<Arguments>(std::env::args_os()) {
        Ok(arguments) => output::exit_code(run(&arguments)),
        Err(code) => code,
    }
}

fn run(arguments: &Arguments) -> Result<u8> {
    let component = load(arguments.subject.input())?;
    trampette_runner::run(&component, &arguments.guest, &arguments.subject)
}

fn load(path: &Path) -> Result<Component> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        read.context("cannot read standard input")?;
        ensure!(is_elf(&bytes), "standard input: {NOT_COMPILED}");
        return Component::from_bytes(&bytes).context("standard input");
    }
    let mut start = Vec::new();
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| file.take(4).read_to_end(&mut start));
    read.with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.display();
    ensure!(
        is_elf(&start),
        "{name}: {NOT_COMPILED}; compile it first: trampette compile {name}"
    );
    Component::from_file(path)
}

const NOT_COMPILED: &str = "not an artifact of Trampette";

fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use trampette_runner::grants::spellings;

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
