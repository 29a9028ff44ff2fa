//! `wasi:io`: errors, pollables, and the methods of streams.

use crate::context::WasiView;
use crate::error_code::ErrorCode;
use crate::interface;
use crate::streams::{Blocking, InputStream, Outcome, OutputStream, WRITE_PERMIT, stdin_ready};
use anyhow::{Result, bail};
use rustix::event::Timespec;
use std::time::Instant;
use trampette_runtime::{Caller, ComponentType, Lift, Linker, Lower, Resource, ResourceTable};

/// `error`: why an operation on a stream failed.
pub struct IoError(pub std::io::Error);

impl IoError {
    /// The filesystem's code for it, if it has one.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::from(&self.0)
    }
}

/// `stream-error`.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub enum StreamError {
    /// The last operation failed.
    LastOperationFailed(Resource<IoError>),
    /// The stream has ended.
    Closed,
}

/// `pollable`.
pub enum Pollable {
    /// Always ready.
    Ready,
    /// Ready when the process's standard input has bytes or has ended.
    Stdin,
    /// Ready from that instant on.
    At(Instant),
    /// Never ready: an instant that the clock cannot express.
    Never,
}

impl Pollable {
    /// Ready from that instant on; `None` is beyond the end of time.
    pub fn at(instant: Option<Instant>) -> Pollable {
        instant.map_or(Pollable::Never, Pollable::At)
    }

    fn is_ready(&self, now: Instant) -> bool {
        match self {
            Pollable::Ready => true,
            Pollable::Stdin => stdin_ready(Some(&Timespec::default())),
            Pollable::At(instant) => *instant <= now,
            Pollable::Never => false,
        }
    }
}

/// Waits until at least one of the pollables is ready; gives the positions of those that are.
fn wait(pollables: &[&Pollable]) -> Result<Vec<u32>> {
    loop {
        let now = Instant::now();
        let ready: Vec<u32> = (0..)
            .zip(pollables)
            .filter(|(_, pollable)| pollable.is_ready(now))
            .map(|(position, _)| position)
            .collect();
        if !ready.is_empty() {
            return Ok(ready);
        }
        let deadline = pollables.iter().filter_map(|pollable| match pollable {
            Pollable::At(instant) => Some(*instant),
            _ => None,
        });
        let remaining = deadline
            .min()
            .map(|instant| instant.saturating_duration_since(now));
        let stdin = pollables
            .iter()
            .any(|pollable| matches!(pollable, Pollable::Stdin));
        match (stdin, remaining) {
            (true, remaining) => {
                let timeout = remaining.and_then(|time| Timespec::try_from(time).ok());
                stdin_ready(timeout.as_ref());
            }
            (false, Some(time)) => std::thread::sleep(time),
            (false, None) => bail!("the guest waits for something that can never happen"),
        }
    }
}

pub(crate) fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    let mut error = linker.instance(&interface("io/error"))?;
    error.resource::<IoError>("error", |mut caller, rep| {
        caller
            .data_mut()
            .wasi()
            .table
            .delete(Resource::<IoError>::new(rep))?;
        Ok(())
    })?;
    error.func_wrap::<(Resource<IoError>,), String, _>(
        "[method]error.to-debug-string",
        |mut caller, (this,)| Ok(caller.data_mut().wasi().table.get(&this)?.0.to_string()),
    )?;
    poll_functions(linker)?;
    input_stream(linker)?;
    output_stream(linker)
}

fn poll_functions<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    let mut poll = linker.instance(&interface("io/poll"))?;
    poll.resource::<Pollable>("pollable", |mut caller, rep| {
        caller
            .data_mut()
            .wasi()
            .table
            .delete(Resource::<Pollable>::new(rep))?;
        Ok(())
    })?;
    poll.func_wrap::<(Resource<Pollable>,), bool, _>(
        "[method]pollable.ready",
        |mut caller, (this,)| {
            Ok(caller
                .data_mut()
                .wasi()
                .table
                .get(&this)?
                .is_ready(Instant::now()))
        },
    )?;
    poll.func_wrap::<(Resource<Pollable>,), (), _>(
        "[method]pollable.block",
        |mut caller, (this,)| {
            wait(&[caller.data_mut().wasi().table.get(&this)?])?;
            Ok(())
        },
    )?;
    poll.func_wrap::<(Vec<Resource<Pollable>>,), Vec<u32>, _>("poll", |mut caller, (list,)| {
        let table = &caller.data_mut().wasi().table;
        let pollables = list
            .iter()
            .map(|pollable| Ok(table.get(&pollable)?))
            .collect::<Result<Vec<_>>>()?;
        if pollables.is_empty() {
            bail!("poll was called with an empty list");
        }
        wait(&pollables)
    })
}

/// What a stream function returns.
type StreamResult<R> = Result<R, StreamError>;

fn stream_result<R>(table: &mut ResourceTable, outcome: Outcome<R>) -> Result<StreamResult<R>> {
    Ok(match outcome {
        Outcome::Done(value) => Ok(value),
        Outcome::Closed => Err(StreamError::Closed),
        Outcome::Failed(error) => Err(StreamError::LastOperationFailed(
            table.push(IoError(error))?,
        )),
    })
}

fn read<T: WasiView>(
    caller: &mut Caller<'_, T>,
    stream: Resource<InputStream>,
    length: u64,
    blocking: Blocking,
) -> Result<StreamResult<Vec<u8>>> {
    let table = &mut caller.data_mut().wasi().table;
    let outcome = table.get_mut(&stream)?.read(length, blocking);
    stream_result(table, outcome)
}

fn input_stream<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    let mut streams = linker.instance(&interface("io/streams"))?;
    streams.resource::<InputStream>("input-stream", |mut caller, rep| {
        caller
            .data_mut()
            .wasi()
            .table
            .delete(Resource::<InputStream>::new(rep))?;
        Ok(())
    })?;
    for (name, blocking) in [("read", Blocking::No), ("blocking-read", Blocking::Yes)] {
        streams.func_wrap::<(Resource<InputStream>, u64), StreamResult<Vec<u8>>, _>(
            &format!("[method]input-stream.{name}"),
            move |mut caller, (this, length)| read(&mut caller, this, length, blocking),
        )?;
    }
    for (name, blocking) in [("skip", Blocking::No), ("blocking-skip", Blocking::Yes)] {
        streams.func_wrap::<(Resource<InputStream>, u64), StreamResult<u64>, _>(
            &format!("[method]input-stream.{name}"),
            move |mut caller, (this, length)| {
                let bytes = read(&mut caller, this, length, blocking)?;
                Ok(bytes.map(|bytes| bytes.len() as u64))
            },
        )?;
    }
    streams.func_wrap::<(Resource<InputStream>,), Resource<Pollable>, _>(
        "[method]input-stream.subscribe",
        |mut caller, (this,)| {
            let table = &mut caller.data_mut().wasi().table;
            let pollable = table.get(&this)?.subscribe();
            Ok(table.push(pollable)?)
        },
    )
}

fn write<T: WasiView>(
    caller: &mut Caller<'_, T>,
    stream: Resource<OutputStream>,
    bytes: &[u8],
) -> Result<StreamResult<()>> {
    let table = &mut caller.data_mut().wasi().table;
    let outcome = table.get_mut(&stream)?.write(bytes);
    stream_result(table, outcome)
}

/// Writes zeros.
fn write_zeroes<T: WasiView>(
    caller: &mut Caller<'_, T>,
    stream: Resource<OutputStream>,
    length: u64,
) -> Result<StreamResult<()>> {
    if length > WRITE_PERMIT {
        bail!("a guest wrote {length} zero bytes; check-write permitted {WRITE_PERMIT}");
    }
    write(caller, stream, &vec![0; length as usize])
}

/// Moves bytes from one stream to another.
fn splice<T: WasiView>(
    caller: &mut Caller<'_, T>,
    (to, from, length): (Resource<OutputStream>, Resource<InputStream>, u64),
    blocking: Blocking,
) -> Result<StreamResult<u64>> {
    let bytes = match read(caller, from, length.min(WRITE_PERMIT), blocking)? {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(error)),
    };
    Ok(write(caller, to, &bytes)?.map(|()| bytes.len() as u64))
}

fn output_stream<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    let mut streams = linker.instance(&interface("io/streams"))?;
    streams.resource::<OutputStream>("output-stream", |mut caller, rep| {
        caller
            .data_mut()
            .wasi()
            .table
            .delete(Resource::<OutputStream>::new(rep))?;
        Ok(())
    })?;
    streams.func_wrap::<(Resource<OutputStream>,), StreamResult<u64>, _>(
        "[method]output-stream.check-write",
        |mut caller, (this,)| {
            caller.data_mut().wasi().table.get(&this)?;
            Ok(Ok(WRITE_PERMIT))
        },
    )?;
    for name in ["write", "blocking-write-and-flush"] {
        streams.func_wrap::<(Resource<OutputStream>, Vec<u8>), StreamResult<()>, _>(
            &format!("[method]output-stream.{name}"),
            |mut caller, (this, bytes)| write(&mut caller, this, bytes),
        )?;
    }
    for name in ["write-zeroes", "blocking-write-zeroes-and-flush"] {
        streams.func_wrap::<(Resource<OutputStream>, u64), StreamResult<()>, _>(
            &format!("[method]output-stream.{name}"),
            |mut caller, (this, length)| write_zeroes(&mut caller, this, length),
        )?;
    }
    // Writes are never buffered here, so there is nothing to flush.
    for name in ["flush", "blocking-flush"] {
        streams.func_wrap::<(Resource<OutputStream>,), StreamResult<()>, _>(
            &format!("[method]output-stream.{name}"),
            |mut caller, (this,)| {
                caller.data_mut().wasi().table.get(&this)?;
                Ok(Ok(()))
            },
        )?;
    }
    streams.func_wrap::<(Resource<OutputStream>,), Resource<Pollable>, _>(
        "[method]output-stream.subscribe",
        |mut caller, (this,)| {
            let table = &mut caller.data_mut().wasi().table;
            table.get(&this)?;
            Ok(table.push(Pollable::Ready)?)
        },
    )?;
    for (name, blocking) in [("splice", Blocking::No), ("blocking-splice", Blocking::Yes)] {
        streams.func_wrap::<(Resource<OutputStream>, Resource<InputStream>, u64), StreamResult<u64>, _>(
            &format!("[method]output-stream.{name}"),
            move |mut caller, parameters| splice(&mut caller, parameters, blocking),
        )?;
    }
    Ok(())
}
