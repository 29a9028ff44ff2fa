//! `wasi:cli`: arguments, environment, exit, standard streams, terminals.

use crate::common::bytes::{StreamSink, StreamSource};
use crate::common::context::WasiCtx;
use crate::common::stdio::Output;
use crate::p2::bindings::wasi::cli as p2;
use crate::p2::cli::{TerminalInput, TerminalOutput};
use crate::p3::bindings::wasi::cli::{self, types::ErrorCode};
use crate::p3::ends::{self, Code, Ended};
use anyhow::Result;
use std::io::{self, ErrorKind};
use trampette_runtime::{AccessMut, FutureReader, Resource, StreamReader};

impl Code for ErrorCode {
    fn of(error: &io::Error) -> ErrorCode {
        match error.kind() {
            ErrorKind::BrokenPipe => ErrorCode::Pipe,
            ErrorKind::InvalidData => ErrorCode::IllegalByteSequence,
            _ => ErrorCode::Io,
        }
    }
}

impl cli::environment::Host for WasiCtx {
    fn get_environment(&mut self) -> Result<Vec<(String, String)>> {
        p2::environment::Host::get_environment(self)
    }

    fn get_arguments(&mut self) -> Result<Vec<String>> {
        p2::environment::Host::get_arguments(self)
    }

    fn get_initial_cwd(&mut self) -> Result<Option<String>> {
        p2::environment::Host::initial_cwd(self)
    }
}

impl cli::exit::Host for WasiCtx {
    fn exit(&mut self, status: Result<(), ()>) -> Result<()> {
        p2::exit::Host::exit(self, status)
    }

    fn exit_with_code(&mut self, status_code: u8) -> Result<()> {
        p2::exit::Host::exit_with_code(self, status_code)
    }
}

impl cli::stdin::Host for WasiCtx {
    fn read_via_stream(
        cx: &mut impl AccessMut<Self>,
    ) -> Result<(StreamReader<u8>, FutureReader<Ended<ErrorCode>>)> {
        let wasi = cx.host();
        let source = StreamSource::new(wasi.stdin.clone(), wasi.reaction.clone());
        ends::read(cx, source)
    }
}

/// Lets a standard stream have what a guest writes.
fn write(
    cx: &mut impl AccessMut<WasiCtx>,
    data: StreamReader<u8>,
    output: impl FnOnce(&WasiCtx) -> &Output,
) -> Result<FutureReader<Ended<ErrorCode>>> {
    let wasi = cx.host();
    let sink = StreamSink::new(output(wasi).clone(), wasi.reaction.clone());
    ends::write(cx, data, sink)
}

impl cli::stdout::Host for WasiCtx {
    fn write_via_stream(
        cx: &mut impl AccessMut<Self>,
        data: StreamReader<u8>,
    ) -> Result<FutureReader<Ended<ErrorCode>>> {
        write(cx, data, |wasi| &wasi.stdout)
    }
}

impl cli::stderr::Host for WasiCtx {
    fn write_via_stream(
        cx: &mut impl AccessMut<Self>,
        data: StreamReader<u8>,
    ) -> Result<FutureReader<Ended<ErrorCode>>> {
        write(cx, data, |wasi| &wasi.stderr)
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
        p2::terminal_stdin::Host::get_terminal_stdin(self)
    }
}

impl cli::terminal_stdout::Host for WasiCtx {
    fn get_terminal_stdout(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        p2::terminal_stdout::Host::get_terminal_stdout(self)
    }
}

impl cli::terminal_stderr::Host for WasiCtx {
    fn get_terminal_stderr(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        p2::terminal_stderr::Host::get_terminal_stderr(self)
    }
}
