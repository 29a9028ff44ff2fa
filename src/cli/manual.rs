//! `trampette completions` and `trampette man`: both from the definitions that parse the command
//! line.

use super::Arguments;
use anyhow::{Context, Result, bail};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use trampette_runner::output;

/// Arguments of `trampette completions`.
#[derive(Args)]
#[command(after_long_help = "Examples:
  trampette completions bash > ~/.local/share/bash-completion/completions/trampette
  trampette completions zsh > \"${fpath[1]}/_trampette\"
  trampette completions fish > ~/.config/fish/completions/trampette.fish")]
pub(super) struct CompletionArguments {
    /// The shell
    shell: Shell,
}

/// Arguments of `trampette man`.
#[derive(Args)]
#[command(after_long_help = "Examples:
  trampette man | man -l -
  trampette man run > trampette-run.1")]
pub(super) struct ManArguments {
    /// The command; without one, the page of `trampette` itself
    command: Option<String>,
}

/// Prints completions.
///
/// # Errors
/// If they cannot be written.
pub(super) fn completions(arguments: &CompletionArguments) -> Result<()> {
    let mut script = Vec::new();
    let mut command = Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "trampette", &mut script);
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
    if let Some(name) = name {
        let found = command.find_subcommand(name).cloned();
        let Some(found) = found else {
            let all = command.get_subcommands().map(|command| command.get_name());
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
        for subcommand in command.get_subcommands() {
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
}
