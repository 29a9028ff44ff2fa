//! The command line, one file for each of its commands: `compile`, `run`, `inspect`, `verify`,
//! `wast`. What several of them need of files is in `files`.

mod compile;
mod files;
mod inspect;
mod run;
mod verify;
mod wast;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use trampette_runner::output;

/// An ahead-of-time compiler for WebAssembly components: one component in, one ELF file out.
#[derive(Parser)]
#[command(name = "trampette", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compile a component or core module (binary or text) to one ELF file.
    Compile(compile::CompileArguments),
    /// Run a component or a compiled artifact.
    Run(run::RunArguments),
    /// Show what a component or a compiled artifact consists of.
    Inspect(inspect::InspectArguments),
    /// Prove that compiled artifacts are consistent, without running anything of them.
    Verify(verify::VerifyArguments),
    /// Run test scripts of core modules and components.
    Wast(wast::WastArguments),
}

/// Prints a document for machines, on one line.
///
/// # Errors
/// If it cannot be written.
fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    output::write(format!("{value}\n").as_bytes())
}

/// Runs the command line with the process's arguments. Exit codes: the guest's own; 134 for a trap;
/// 1 for other errors; 2 for wrong usage.
pub fn main() -> ExitCode {
    let arguments: Arguments = match output::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    output::exit_code(match &arguments.command {
        Command::Compile(arguments) => compile::compile(arguments).map(|()| 0),
        Command::Run(arguments) => run::run(arguments),
        Command::Inspect(arguments) => inspect::inspect(arguments).map(|()| 0),
        Command::Verify(arguments) => verify::verify(arguments),
        Command::Wast(arguments) => wast::wast(arguments),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use trampette_runner::grants::spellings;

    #[test]
    fn definitions_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_stands_behind_the_input_of_run_is_the_guests() {
        let command = Arguments::command();
        let spellings = spellings(command.find_subcommand("run").unwrap());
        assert!(spellings.len() > 30, "{spellings:?}");
        for option in spellings {
            let line = ["trampette", "run", "--env=A=1", "x", &option, "--", &option];
            let Ok(arguments) = Arguments::try_parse_from(line) else {
                panic!("{option} is not left to the guest");
            };
            let Command::Run(arguments) = arguments.command else {
                panic!("another command");
            };
            let left = arguments.left_to_the_guest();
            assert_eq!(left, [&option, "--", &option]);
            let without =
                Arguments::try_parse_from(["trampette", "run", "--env=A=1", "x"]).unwrap();
            let Command::Run(without) = without.command else {
                panic!("another command");
            };
            assert_eq!(arguments.options(), without.options());
        }
    }
}
