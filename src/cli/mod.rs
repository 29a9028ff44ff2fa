//! The command line, one file for each of its commands: `compile`, `run`, `serve`, `inspect` (whose
//! `summary` and `picture` are files of their own), `explore`, `verify`, `wast`; completions and
//! manual pages are in `manual`. What several of them need of files is in `files`.

mod compile;
mod explore;
mod files;
mod inspect;
mod manual;
mod picture;
mod run;
mod serve;
mod summary;
mod verify;
mod wast;

use clap::{Args, Parser, Subcommand};
use std::process::ExitCode;
use std::sync::LazyLock;
use trampette_runner::output;

/// An ahead-of-time compiler for WebAssembly components: one component in, one ELF file out
#[derive(Parser)]
#[command(
    name = "trampette",
    version,
    long_version = long_version(),
    about,
    after_help = "`trampette help COMMAND` or `trampette COMMAND --help` says more.",
    after_long_help = EXIT_CODES
)]
struct Arguments {
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(subcommand)]
    command: Command,
}

/// Exit codes of all commands, for help and manual pages.
const EXIT_CODES: &str = "\
Exit codes:
  0    all went well
  1    an error; of `verify` and `wast`: something does not hold
  2    wrong usage
  124  `run`: the time of --timeout was over
  134  `run`: the guest trapped
`run` otherwise ends with the guest's own exit code.";

/// How much is said beside results and errors.
#[derive(Args, Clone, Copy)]
struct Verbosity {
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say what is done, and how long each phase takes
    #[arg(short, long, global = true)]
    verbose: bool,
}

impl Verbosity {
    /// Whether a person waits for what takes long.
    fn shows_progress(self) -> bool {
        !self.quiet && output::stderr_is_terminal()
    }

    /// Whether a line says what was done.
    fn tells(self) -> bool {
        self.verbose || self.shows_progress()
    }

    /// Whether details are told.
    fn details(self) -> bool {
        self.verbose
    }
}

#[derive(Subcommand)]
enum Command {
    /// Compile a component or core module to one ELF file
    Compile(Box<compile::CompileArguments>),
    /// Run a component, a core module or a compiled artifact
    Run(Box<run::RunArguments>),
    /// Serve HTTP with a component or a compiled artifact
    Serve(Box<serve::Arguments>),
    /// Show what a component, a core module or a compiled artifact consists of
    Inspect(Box<inspect::InspectArguments>),
    /// Make a page that shows what became of each function and trampoline
    Explore(Box<explore::ExploreArguments>),
    /// Prove that compiled artifacts are consistent, without running anything of them
    Verify(verify::VerifyArguments),
    /// Run test scripts of core modules and components
    Wast(Box<wast::WastArguments>),
    /// Print completions for a shell
    Completions(manual::CompletionArguments),
    /// Print a manual page
    Man(manual::ManArguments),
}

/// What `--version` says beside the version: the commit, if it is known, what runs this command,
/// and which artifacts it makes.
fn long_version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{}\ncommit: {}\ntarget: {}-{}\nartifact format: {}",
            env!("CARGO_PKG_VERSION"),
            option_env!("TRAMPETTE_COMMIT").unwrap_or("unknown"),
            std::env::consts::ARCH,
            std::env::consts::OS,
            trampette_artifact::header::FORMAT_VERSION
        )
    });
    &TEXT
}

/// Prints a document for machines, on one line.
///
/// # Errors
/// If it cannot be written.
fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    output::write(format!("{value}\n").as_bytes())
}

/// Runs the command line with the process's arguments; `docs/cli.md` lists the exit codes.
pub fn main() -> ExitCode {
    let arguments: Arguments = match output::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let verbosity = arguments.verbosity;
    output::exit_code(match &arguments.command {
        Command::Compile(arguments) => compile::compile(arguments, verbosity).map(|()| 0),
        Command::Run(arguments) => run::run(arguments, verbosity),
        Command::Serve(arguments) => serve::serve(arguments, verbosity),
        Command::Inspect(arguments) => inspect::inspect(arguments, verbosity).map(|()| 0),
        Command::Explore(arguments) => explore::explore(arguments, verbosity).map(|()| 0),
        Command::Verify(arguments) => verify::verify(arguments),
        Command::Wast(arguments) => wast::wast(arguments),
        Command::Completions(arguments) => manual::completions(arguments).map(|()| 0),
        Command::Man(arguments) => manual::man(arguments).map(|()| 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use trampette_runner::granted::options_of_guests;
    use trampette_runner::grants::spellings;

    #[test]
    fn definitions_are_consistent() {
        Arguments::command().debug_assert();
    }

    /// A guest is given the same by both, in the same words.
    #[test]
    fn run_and_serve_have_the_same_options_of_guests() {
        let command = Arguments::command();
        let options = |name| options_of_guests(command.find_subcommand(name).unwrap());
        let run = options("run");
        assert!(run.len() > 10, "{run:?}");
        assert_eq!(run, options("serve"));
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
