//! `wasi:cli`: arguments, environment, exit, standard streams, terminals.

use crate::common::context::WasiCtx;
use crate::p2::bindings::wasi::cli;
use crate::p2::streams::{InputStream, OutputStream};
use anyhow::Result;
use std::ffi::OsString;
use std::fmt;
use trampette_runtime::Resource;

/// The guest asked to exit: what a call returns as its error's cause then.
///
/// ```
/// use trampette_wasi::Exit;
///
/// fn exit_code(result: anyhow::Result<()>) -> u8 {
///     match result {
///         Ok(()) => 0,
///         Err(error) => error.downcast_ref().map_or(1, |Exit(code)| *code),
///     }
/// }
/// assert_eq!(exit_code(Err(Exit(3).into())), 3);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit(pub u8);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the guest exited with status {}", self.0)
    }
}

impl std::error::Error for Exit {}

/// `terminal-input`; it has no methods.
pub(crate) struct TerminalInput;
/// `terminal-output`; it has no methods.
pub(crate) struct TerminalOutput;

impl cli::environment::Host for WasiCtx {
    fn get_environment(&mut self) -> Result<Vec<(String, String)>> {
        let text = |bytes: &OsString| bytes.to_string_lossy().into_owned();
        let variables = self.environment.iter();
        Ok(variables
            .map(|(name, value)| (text(name), text(value)))
            .collect())
    }

    fn get_arguments(&mut self) -> Result<Vec<String>> {
        let text = |bytes: &OsString| bytes.to_string_lossy().into_owned();
        Ok(self.arguments.iter().map(text).collect())
    }

    fn initial_cwd(&mut self) -> Result<Option<String>> {
        Ok(None)
    }
}

impl cli::exit::Host for WasiCtx {
    fn exit(&mut self, status: Result<(), ()>) -> Result<()> {
        Err(Exit(u8::from(status.is_err())).into())
    }

    fn exit_with_code(&mut self, status_code: u8) -> Result<()> {
        Err(Exit(status_code).into())
    }
}

impl cli::stdin::Host for WasiCtx {
    fn get_stdin(&mut self) -> Result<Resource<InputStream>> {
        let stream = InputStream::standard(self.stdin.clone());
        Ok(self.table.push(stream)?)
    }
}

impl cli::stdout::Host for WasiCtx {
    fn get_stdout(&mut self) -> Result<Resource<OutputStream>> {
        let stream = OutputStream::standard(self.stdout.clone());
        Ok(self.table.push(stream)?)
    }
}

impl cli::stderr::Host for WasiCtx {
    fn get_stderr(&mut self) -> Result<Resource<OutputStream>> {
        let stream = OutputStream::standard(self.stderr.clone());
        Ok(self.table.push(stream)?)
    }
}

impl cli::terminal_input::Host for WasiCtx {}
impl cli::terminal_input::HostTerminalInput for WasiCtx {
    fn drop(&mut self, terminal: Resource<TerminalInput>) -> Result<()> {
        self.give_up(terminal)
    }
}

impl cli::terminal_output::Host for WasiCtx {}
impl cli::terminal_output::HostTerminalOutput for WasiCtx {
    fn drop(&mut self, terminal: Resource<TerminalOutput>) -> Result<()> {
        self.give_up(terminal)
    }
}

impl cli::terminal_stdin::Host for WasiCtx {
    fn get_terminal_stdin(&mut self) -> Result<Option<Resource<TerminalInput>>> {
        let terminal = self.stdin.is_terminal().then_some(TerminalInput);
        self.terminal(terminal)
    }
}

impl cli::terminal_stdout::Host for WasiCtx {
    fn get_terminal_stdout(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        let terminal = self.stdout.is_terminal().then_some(TerminalOutput);
        self.terminal(terminal)
    }
}

impl cli::terminal_stderr::Host for WasiCtx {
    fn get_terminal_stderr(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        let terminal = self.stderr.is_terminal().then_some(TerminalOutput);
        self.terminal(terminal)
    }
}

impl WasiCtx {
    /// A handle of a terminal, if the guest's stream is one.
    fn terminal<R: Send + 'static>(&mut self, terminal: Option<R>) -> Result<Option<Resource<R>>> {
        let terminal = terminal.map(|terminal| self.table.push(terminal));
        Ok(terminal.transpose()?)
    }
}
