//! The command line, one file for each of its commands: `compile`, `run`, `inspect`, `verify`,
//! `wast`.

mod compile;
mod inspect;
mod run;
mod verify;
mod wast;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// An ahead-of-time compiler for WebAssembly components: one component in, one ELF file out.
#[derive(Parser)]
#[command(name = "trampette", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compile a component (binary or text, or a preview-1 module) to one ELF file.
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

/// Writes to standard output; a reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Runs the command line with the process's arguments. Exit codes: the guest's own; 134 for a trap;
/// 1 for other errors; 2 for wrong usage.
pub fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Compile(arguments) => compile::compile(&arguments).map(|()| 0),
        Command::Run(arguments) => run::run(arguments),
        Command::Inspect(arguments) => inspect::inspect(&arguments).map(|()| 0),
        Command::Verify(arguments) => verify::verify(&arguments),
        Command::Wast(arguments) => wast::wast(&arguments),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
