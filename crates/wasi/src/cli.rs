//! `wasi:cli`: arguments, environment, exit, standard streams, terminals.

use crate::bindings::wasi::cli;
use crate::context::{Stdio, WasiCtx};
use crate::streams::{InputStream, OutputStream};
use anyhow::Result;
use std::fmt;
use std::io::IsTerminal;
use trampette_runtime::Resource;

/// The guest asked to exit: what a call returns as its error's cause then.
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
        Ok(self.environment.clone())
    }

    fn get_arguments(&mut self) -> Result<Vec<String>> {
        Ok(self.arguments.clone())
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
        let stream = match self.stdio {
            Stdio::Inherited => InputStream::Stdin,
            Stdio::Null => InputStream::Empty,
        };
        Ok(self.table.push(stream)?)
    }
}

impl cli::stdout::Host for WasiCtx {
    fn get_stdout(&mut self) -> Result<Resource<OutputStream>> {
        self.output(OutputStream::Stdout)
    }
}

impl cli::stderr::Host for WasiCtx {
    fn get_stderr(&mut self) -> Result<Resource<OutputStream>> {
        self.output(OutputStream::Stderr)
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
        self.terminal(std::io::stdin(), TerminalInput)
    }
}

impl cli::terminal_stdout::Host for WasiCtx {
    fn get_terminal_stdout(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        self.terminal(std::io::stdout(), TerminalOutput)
    }
}

impl cli::terminal_stderr::Host for WasiCtx {
    fn get_terminal_stderr(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        self.terminal(std::io::stderr(), TerminalOutput)
    }
}

impl WasiCtx {
    /// One of the process's streams, if the guest may have them.
    fn output(&mut self, inherited: OutputStream) -> Result<Resource<OutputStream>> {
        let stream = match self.stdio {
            Stdio::Inherited => inherited,
            Stdio::Null => OutputStream::Null,
        };
        Ok(self.table.push(stream)?)
    }

    /// A terminal, if the guest may have the stream and it is one.
    fn terminal<R: Send + 'static>(
        &mut self,
        stream: impl IsTerminal,
        terminal: R,
    ) -> Result<Option<Resource<R>>> {
        let is_terminal = self.stdio == Stdio::Inherited && stream.is_terminal();
        let terminal = is_terminal.then(|| self.table.push(terminal));
        Ok(terminal.transpose()?)
    }
}
