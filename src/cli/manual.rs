//! `trampette completions` and `trampette man`: both from the definitions that parse the command
//! line, of `trampette` and of `trampette-run`, which prints none itself and so stays small.

use super::Arguments;
use anyhow::{Context, Result, bail};
use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;
use trampette_runner::{command, output};

/// Arguments of `trampette completions`.
#[derive(Args)]
#[command(after_long_help = "Examples:
  trampette completions bash > ~/.local/share/bash-completion/completions/trampette
  trampette completions zsh > \"${fpath[1]}/_trampette\"
  trampette completions fish > ~/.config/fish/completions/trampette.fish
  trampette completions fish trampette-run > ~/.config/fish/completions/trampette-run.fish")]
pub(super) struct CompletionArguments {
    /// The shell
    shell: Shell,
    /// The command
    #[arg(default_value = "trampette")]
    command: Program,
}

/// A command that is installed.
#[derive(Clone, Copy, ValueEnum)]
enum Program {
    Trampette,
    TrampetteRun,
}

impl Program {
    fn definition(self) -> clap::Command {
        match self {
            Program::Trampette => Arguments::command(),
            Program::TrampetteRun => command::definition(),
        }
    }
}

/// Arguments of `trampette man`.
#[derive(Args)]
#[command(after_long_help = "Examples:
  trampette man | man -l -
  trampette man compile > trampette-compile.1
  trampette man trampette-run > trampette-run.1")]
pub(super) struct ManArguments {
    /// The command, or `trampette-run`; without one, the page of `trampette` itself
    command: Option<String>,
}

/// Prints completions.
///
/// # Errors
/// If they cannot be written.
pub(super) fn completions(arguments: &CompletionArguments) -> Result<()> {
    let mut script = Vec::new();
    let mut command = arguments.command.definition();
    let name = command.get_name().to_string();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    output::write(&script)
}

/// Prints a manual page.
///
/// # Errors
/// If there is no such command, or the page cannot be written.
pub(super) fn man(arguments: &ManArguments) -> Result<()> {
    output::write(&page(arguments.command.as_deref())?)
}

fn page(name: Option<&str>) -> Result<Vec<u8>> {
    let mut command = Arguments::command();
    command.build();
    let other = Program::TrampetteRun.definition();
    if let Some(name) = name {
        let found = command.find_subcommand(name).cloned();
        let found = found.or_else(|| (name == other.get_name()).then(|| other.clone()));
        let Some(found) = found else {
            let all = command.get_subcommands().chain([&other]);
            let all = all.map(|command| command.get_name());
            let all = all.collect::<Vec<_>>().join(", ");
            bail!("there is no command `{name}`; there are {all}");
        };
        command = found;
    }
    let mut page = Vec::new();
    let written = clap_mangen::Man::new(command).render(&mut page);
    written.context("cannot make the manual page")?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_options() {
        let command = Arguments::command();
        let other = Program::TrampetteRun.definition();
        for subcommand in command.get_subcommands().chain([&other]) {
            let page = page(Some(subcommand.get_name())).unwrap();
            let page = String::from_utf8(page).unwrap().replace("\\-", "-");
            for argument in subcommand.get_arguments() {
                if let Some(long) = argument.get_long() {
                    assert!(page.contains(&format!("--{long}")), "{long}: {page}");
                }
            }
        }
        let page = String::from_utf8(page(None).unwrap()).unwrap();
        assert!(
            page.contains("Exit codes") && page.contains("134"),
            "{page}"
        );
    }

    #[test]
    fn both_commands_have_pages_and_completions() {
        for program in Program::value_variants() {
            let mut command = program.definition();
            let name = command.get_name().to_string();
            for shell in Shell::value_variants() {
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut command, &name, &mut script);
                let script = String::from_utf8(script).unwrap();
                for word in [&name, "dir", "max-memory"] {
                    assert!(script.contains(word), "{shell}: {word}");
                }
            }
            let found = Program::from_str(&name, false);
            assert!(
                found.is_ok(),
                "`{name}` is what it is called on the command line"
            );
        }
        let page = page(Some("trampette-run")).unwrap();
        let page = String::from_utf8(page).unwrap().replace("\\-", "-");
        assert!(
            page.contains("trampette-run\\fR [OPTIONS] <INPUT>"),
            "{page}"
        );
    }
}
