//! `wasi:io`: errors, pollables, and the methods of streams.

use crate::common::context::WasiCtx;
use crate::common::stdio::StreamFd;
use crate::p2::bindings::wasi::filesystem::types::ErrorCode;
use crate::p2::bindings::wasi::io;
use crate::p2::bindings::wasi::io::streams::{ConvertStreamError, StreamError};
use crate::p2::streams::{Blocking, InputStream, OutputStream, WRITE_PERMIT};
use anyhow::{Result, anyhow, bail};
use rustix::event::{PollFd, PollFlags};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;
use trampette_runtime::{List, Resource, ResourceTableError, wait};

/// `error`: why an operation on a stream failed.
pub struct IoError(pub std::io::Error);

impl IoError {
    /// The filesystem's code for it, if it has one.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::from(&self.0)
    }
}

/// Why a function of a stream fails.
pub(crate) enum Failure {
    /// The stream has ended.
    Closed,
    /// The operation failed, which the guest gets as a resource.
    Failed(std::io::Error),
    /// With a trap.
    Trap(anyhow::Error),
}

impl From<ResourceTableError> for Failure {
    fn from(error: ResourceTableError) -> Self {
        Failure::Trap(error.into())
    }
}

impl ConvertStreamError for WasiCtx {
    fn convert_stream_error(&mut self, failure: Failure) -> Result<StreamError> {
        match failure {
            Failure::Closed => Ok(StreamError::Closed),
            Failure::Failed(error) => {
                let error = self.table.push(IoError(error))?;
                Ok(StreamError::LastOperationFailed(error))
            }
            Failure::Trap(error) => Err(error),
        }
    }
}

/// `pollable`.
pub struct Pollable(pub(crate) Readiness);

/// When something is ready.
#[derive(Clone)]
pub(crate) enum Readiness {
    /// Always.
    Ready,
    /// When a standard input of the host's has bytes or has ended.
    Input(StreamFd),
    /// From that instant on.
    At(Instant),
    /// Never: at an instant that the clock cannot express.
    Never,
}

impl Readiness {
    /// From that instant on; `None` is beyond the end of time.
    pub(crate) fn at(instant: Option<Instant>) -> Readiness {
        instant.map_or(Readiness::Never, Readiness::At)
    }
}

/// Whether to wait if nothing is ready.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Wait,
    Look,
}

/// Waits until at least one of those is ready, unless it is only to look; gives the positions of
/// those that are.
///
/// # Errors
/// As [`wait::poll`], or if none of them can ever be ready.
pub(crate) fn wait_for(all: &[&Readiness], patience: Patience) -> Result<Vec<usize>> {
    loop {
        let now = Instant::now();
        let due = |one: &Readiness| match one {
            Readiness::Ready => Some(now),
            Readiness::At(instant) => Some(*instant),
            Readiness::Input(_) | Readiness::Never => None,
        };
        let mut until = all.iter().filter_map(|one| due(one)).min();
        if patience == Patience::Look {
            until = Some(now);
        }
        // However many wait for the same stream, the system is asked once.
        let mut fds: Vec<PollFd<'_>> = Vec::new();
        for one in all {
            if let Readiness::Input(fd) = one
                && !fds.iter().any(|known| same(known, fd))
            {
                fds.push(PollFd::new(fd, PollFlags::IN));
            }
        }
        if fds.is_empty() && until.is_none() {
            bail!("the guest waits for something that can never happen");
        }
        wait::poll(&mut fds, until)?;
        let now = Instant::now();
        let is_ready = |one: &Readiness| match one {
            Readiness::Ready => true,
            Readiness::At(instant) => *instant <= now,
            Readiness::Never => false,
            Readiness::Input(fd) => {
                let mut polled = fds.iter().filter(|polled| same(polled, fd));
                polled.any(|polled| !polled.revents().is_empty())
            }
        };
        let ready = all.iter().enumerate().filter(|(_, one)| is_ready(one));
        let ready: Vec<usize> = ready.map(|(position, _)| position).collect();
        if !ready.is_empty() || patience == Patience::Look {
            return Ok(ready);
        }
    }
}

fn same(polled: &PollFd<'_>, fd: &StreamFd) -> bool {
    polled.as_fd().as_raw_fd() == fd.as_fd().as_raw_fd()
}

impl io::error::Host for WasiCtx {}
impl io::error::HostError for WasiCtx {
    fn to_debug_string(&mut self, this: Resource<IoError>) -> Result<String> {
        Ok(self.table.get(&this)?.0.to_string())
    }

    fn drop(&mut self, this: Resource<IoError>) -> Result<()> {
        self.give_up(this)
    }
}

impl io::poll::Host for WasiCtx {
    fn poll(&mut self, list: List<'_, Resource<Pollable>>) -> Result<Vec<u32>> {
        let pollables = list
            .iter()
            .map(|pollable| Ok(&self.table.get(&pollable)?.0))
            .collect::<Result<Vec<_>>>()?;
        if pollables.is_empty() {
            bail!("poll was called with an empty list");
        }
        let ready = wait_for(&pollables, Patience::Wait)?;
        Ok(ready.into_iter().map(|position| position as u32).collect())
    }
}

impl io::poll::HostPollable for WasiCtx {
    fn ready(&mut self, this: Resource<Pollable>) -> Result<bool> {
        let pollable = &self.table.get(&this)?.0;
        Ok(!wait_for(&[pollable], Patience::Look)?.is_empty())
    }

    fn block(&mut self, this: Resource<Pollable>) -> Result<()> {
        wait_for(&[&self.table.get(&this)?.0], Patience::Wait)?;
        Ok(())
    }

    fn drop(&mut self, this: Resource<Pollable>) -> Result<()> {
        self.give_up(this)
    }
}

type Input = Resource<InputStream>;
type Output = Resource<OutputStream>;
type Fallible<R> = Result<R, Failure>;

/// What every function of streams is made of.
impl WasiCtx {
    fn read_input(&mut self, this: &Input, length: u64, blocking: Blocking) -> Fallible<Vec<u8>> {
        self.table.get_mut(this)?.read(length, blocking)
    }

    fn skip_input(&mut self, this: &Input, length: u64, blocking: Blocking) -> Fallible<u64> {
        Ok(self.read_input(this, length, blocking)?.len() as u64)
    }

    fn write_output(&mut self, this: &Output, bytes: &[u8]) -> Fallible<()> {
        self.table.get_mut(this)?.write(bytes)
    }

    fn write_zeros(&mut self, this: &Output, length: u64) -> Fallible<()> {
        if length > WRITE_PERMIT {
            return Err(Failure::Trap(anyhow!(
                "a guest wrote {length} zero bytes; check-write permitted {WRITE_PERMIT}"
            )));
        }
        self.write_output(this, &vec![0; length as usize])
    }

    /// Writes are never buffered here, so there is nothing to flush.
    fn flush_output(&mut self, this: &Output) -> Fallible<()> {
        self.table.get(this)?;
        Ok(())
    }

    /// Moves bytes from one stream to another.
    fn splice_streams(
        &mut self,
        to: &Output,
        from: &Input,
        length: u64,
        blocking: Blocking,
    ) -> Fallible<u64> {
        let bytes = self.read_input(from, length.min(WRITE_PERMIT), blocking)?;
        self.write_output(to, &bytes)?;
        Ok(bytes.len() as u64)
    }
}

impl io::streams::Host for WasiCtx {}

impl io::streams::HostInputStream for WasiCtx {
    #[inline]
    fn read(&mut self, this: Input, length: u64) -> Fallible<Vec<u8>> {
        self.read_input(&this, length, Blocking::No)
    }

    #[inline]
    fn blocking_read(&mut self, this: Input, length: u64) -> Fallible<Vec<u8>> {
        self.read_input(&this, length, Blocking::Yes)
    }

    fn skip(&mut self, this: Input, length: u64) -> Fallible<u64> {
        self.skip_input(&this, length, Blocking::No)
    }

    fn blocking_skip(&mut self, this: Input, length: u64) -> Fallible<u64> {
        self.skip_input(&this, length, Blocking::Yes)
    }

    fn subscribe(&mut self, this: Input) -> Result<Resource<Pollable>> {
        let pollable = self.table.get(&this)?.subscribe();
        Ok(self.table.push(pollable)?)
    }

    fn drop(&mut self, this: Input) -> Result<()> {
        self.give_up(this)
    }
}

impl io::streams::HostOutputStream for WasiCtx {
    #[inline]
    fn check_write(&mut self, this: Output) -> Fallible<u64> {
        self.table.get(&this)?;
        Ok(WRITE_PERMIT)
    }

    #[inline]
    fn write(&mut self, this: Output, contents: &[u8]) -> Fallible<()> {
        self.write_output(&this, contents)
    }

    #[inline]
    fn blocking_write_and_flush(&mut self, this: Output, contents: &[u8]) -> Fallible<()> {
        self.write_output(&this, contents)
    }

    fn write_zeroes(&mut self, this: Output, length: u64) -> Fallible<()> {
        self.write_zeros(&this, length)
    }

    fn blocking_write_zeroes_and_flush(&mut self, this: Output, length: u64) -> Fallible<()> {
        self.write_zeros(&this, length)
    }

    fn flush(&mut self, this: Output) -> Fallible<()> {
        self.flush_output(&this)
    }

    fn blocking_flush(&mut self, this: Output) -> Fallible<()> {
        self.flush_output(&this)
    }

    fn subscribe(&mut self, this: Output) -> Result<Resource<Pollable>> {
        self.table.get(&this)?;
        Ok(self.table.push(Pollable(Readiness::Ready))?)
    }

    fn splice(&mut self, this: Output, from: Input, length: u64) -> Fallible<u64> {
        self.splice_streams(&this, &from, length, Blocking::No)
    }

    fn blocking_splice(&mut self, this: Output, from: Input, length: u64) -> Fallible<u64> {
        self.splice_streams(&this, &from, length, Blocking::Yes)
    }

    fn drop(&mut self, this: Output) -> Result<()> {
        self.give_up(this)
    }
}
