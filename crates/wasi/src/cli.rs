//! `wasi:cli`: arguments, environment, exit, standard streams, terminals.

use crate::context::{Stdio, WasiView};
use crate::interface;
use crate::streams::{InputStream, OutputStream};
use anyhow::Result;
use std::fmt;
use std::io::IsTerminal;
use trampette_runtime::{Linker, Resource};

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
pub struct TerminalInput;
/// `terminal-output`; it has no methods.
pub struct TerminalOutput;

pub(crate) fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    let mut environment = linker.instance(&interface("cli/environment"))?;
    environment
        .func_wrap::<(), Vec<(String, String)>, _>("get-environment", |mut caller, ()| {
            Ok(caller.data_mut().wasi().environment.clone())
        })?;
    environment.func_wrap::<(), Vec<String>, _>("get-arguments", |mut caller, ()| {
        Ok(caller.data_mut().wasi().arguments.clone())
    })?;
    environment.func_wrap::<(), Option<String>, _>("initial-cwd", |_, ()| Ok(None))?;

    let mut exit = linker.instance(&interface("cli/exit"))?;
    exit.func_wrap::<(Result<(), ()>,), (), _>("exit", |_, (status,)| {
        Err(Exit(u8::from(status.is_err())).into())
    })?;
    exit.func_wrap::<(u8,), (), _>("exit-with-code", |_, (code,)| Err(Exit(code).into()))?;

    streams(linker)?;
    terminals(linker)
}

fn streams<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    linker
        .instance(&interface("cli/stdin"))?
        .func_wrap::<(), Resource<InputStream>, _>("get-stdin", |mut caller, ()| {
            let wasi = caller.data_mut().wasi();
            let stream = match wasi.stdio {
                Stdio::Inherited => InputStream::Stdin,
                Stdio::Null => InputStream::Empty,
            };
            Ok(wasi.table.push(stream)?)
        })?;
    linker
        .instance(&interface("cli/stdout"))?
        .func_wrap::<(), Resource<OutputStream>, _>("get-stdout", |mut caller, ()| {
            let wasi = caller.data_mut().wasi();
            let stream = match wasi.stdio {
                Stdio::Inherited => OutputStream::Stdout,
                Stdio::Null => OutputStream::Null,
            };
            Ok(wasi.table.push(stream)?)
        })?;
    linker
        .instance(&interface("cli/stderr"))?
        .func_wrap::<(), Resource<OutputStream>, _>("get-stderr", |mut caller, ()| {
            let wasi = caller.data_mut().wasi();
            let stream = match wasi.stdio {
                Stdio::Inherited => OutputStream::Stderr,
                Stdio::Null => OutputStream::Null,
            };
            Ok(wasi.table.push(stream)?)
        })
}

fn terminals<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    linker
        .instance(&interface("cli/terminal-input"))?
        .resource::<TerminalInput>("terminal-input", |mut caller, rep| {
            caller
                .data_mut()
                .wasi()
                .table
                .delete(Resource::<TerminalInput>::new(rep))?;
            Ok(())
        })?;
    linker
        .instance(&interface("cli/terminal-output"))?
        .resource::<TerminalOutput>("terminal-output", |mut caller, rep| {
            caller
                .data_mut()
                .wasi()
                .table
                .delete(Resource::<TerminalOutput>::new(rep))?;
            Ok(())
        })?;
    linker
        .instance(&interface("cli/terminal-stdin"))?
        .func_wrap::<(), Option<Resource<TerminalInput>>, _>(
            "get-terminal-stdin",
            |mut caller, ()| {
                let wasi = caller.data_mut().wasi();
                let terminal = wasi.stdio == Stdio::Inherited && std::io::stdin().is_terminal();
                Ok(terminal
                    .then(|| wasi.table.push(TerminalInput))
                    .transpose()?)
            },
        )?;
    linker
        .instance(&interface("cli/terminal-stdout"))?
        .func_wrap::<(), Option<Resource<TerminalOutput>>, _>(
            "get-terminal-stdout",
            |mut caller, ()| {
                let wasi = caller.data_mut().wasi();
                let terminal = wasi.stdio == Stdio::Inherited && std::io::stdout().is_terminal();
                Ok(terminal
                    .then(|| wasi.table.push(TerminalOutput))
                    .transpose()?)
            },
        )?;
    linker
        .instance(&interface("cli/terminal-stderr"))?
        .func_wrap::<(), Option<Resource<TerminalOutput>>, _>(
            "get-terminal-stderr",
            |mut caller, ()| {
                let wasi = caller.data_mut().wasi();
                let terminal = wasi.stdio == Stdio::Inherited && std::io::stderr().is_terminal();
                Ok(terminal
                    .then(|| wasi.table.push(TerminalOutput))
                    .transpose()?)
            },
        )
}
