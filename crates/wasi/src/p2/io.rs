//! `wasi:io`: errors, pollables, and the methods of streams.

#[cfg(feature = "http")]
use crate::common::bell::Bell;
use crate::common::blocking::blocking;
use crate::common::context::WasiCtx;
use crate::common::network::Socket;
use crate::common::stdio::StreamFd;
#[cfg(feature = "http")]
use crate::common::stdio::lock;
use crate::p2::bindings::wasi::filesystem::types::ErrorCode;
use crate::p2::bindings::wasi::io;
use crate::p2::bindings::wasi::io::streams::{ConvertStreamError, StreamError};
use crate::p2::streams::{Blocking, InputStream, OutputStream, WRITE_PERMIT};
use crate::p2::waiting::{Step, in_steps, ready};
use anyhow::{Result, anyhow, bail};
use rustix::event::{PollFd, PollFlags};
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
#[cfg(feature = "http")]
use std::sync::Mutex;
#[cfg(feature = "http")]
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use trampette_runtime::{Later, List, Resource, ResourceTableError, wait};

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
    /// When a socket has that event, or has failed.
    Socket(Arc<Socket>, PollFlags),
    /// When another thread has closed the other end of a pipe.
    Answer(Arc<OwnedFd>),
    /// From that instant on.
    At(Instant),
    /// Never: at an instant that the clock cannot express.
    Never,
    /// When something is that goes on by itself.
    #[cfg(feature = "http")]
    Polled(Arc<Mutex<dyn PollReady>>),
}

/// Something of the host's that goes on by itself, and wakes whoever has polled it.
#[cfg(feature = "http")]
pub(crate) trait PollReady: Send {
    /// Whether an operation is possible at once, or none is any more.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

impl Readiness {
    /// From that instant on; `None` is beyond the end of time.
    pub(crate) fn at(instant: Option<Instant>) -> Readiness {
        instant.map_or(Readiness::Never, Readiness::At)
    }

    /// Whether it is ready now.
    ///
    /// # Errors
    /// As [`wait::poll`].
    pub(crate) fn is_now(&self) -> Result<bool> {
        Ok(!wait_for(&[self], Patience::Look)?.is_empty())
    }

    /// What is asked of the system.
    pub(crate) fn watched(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match self {
            Readiness::Input(fd) => Some((fd.as_fd(), PollFlags::IN)),
            Readiness::Socket(socket, what) => Some((socket.as_fd(), *what)),
            Readiness::Answer(fd) => Some((fd.as_fd(), PollFlags::IN)),
            _ => None,
        }
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
        let polled = Polled::look(all, patience);
        let now = Instant::now();
        let due = |one: &Readiness| match one {
            Readiness::Ready => Some(now),
            Readiness::At(instant) => Some(*instant),
            _ => None,
        };
        let mut until = all.iter().filter_map(|one| due(one)).min();
        if patience == Patience::Look || polled.has_ready() {
            until = Some(now);
        }
        // However many wait for the same, the system is asked once.
        let mut fds: Vec<PollFd<'_>> = Vec::new();
        let mut places = HashMap::new();
        for one in all {
            if let Some((fd, what)) = one.watched() {
                places.entry((fd.as_raw_fd(), what)).or_insert_with(|| {
                    fds.push(PollFd::from_borrowed_fd(fd, what));
                    fds.len() - 1
                });
            }
        }
        polled.add_to(&mut fds);
        if fds.is_empty() && until.is_none() {
            bail!("the guest waits for something that can never happen");
        }
        match until.is_some_and(|until| until <= now) {
            true if fds.is_empty() => wait::check()?,
            true => drop(wait::poll(&mut fds, until)?),
            false => drop(blocking(|| wait::poll(&mut fds, until))?),
        }
        let now = Instant::now();
        let is_ready = |(_position, one): &(usize, &&Readiness)| match one {
            Readiness::Ready => true,
            Readiness::At(instant) => *instant <= now,
            Readiness::Never => false,
            #[cfg(feature = "http")]
            Readiness::Polled(_) => polled.is_ready(*_position),
            one => one.watched().is_some_and(|(fd, what)| {
                let place = places.get(&(fd.as_raw_fd(), what));
                place.is_some_and(|place| !fds[*place].revents().is_empty())
            }),
        };
        let ready = all.iter().enumerate().filter(is_ready);
        let ready: Vec<usize> = ready.map(|(position, _)| position).collect();
        if !ready.is_empty() || patience == Patience::Look {
            return Ok(ready);
        }
    }
}

/// What was found out about those of some pollables that are polled.
#[cfg(feature = "http")]
struct Polled {
    /// The positions of those that are ready.
    ready: Vec<usize>,
    /// Rings when one of the others may be.
    bell: Option<Arc<Bell>>,
}

#[cfg(feature = "http")]
impl Polled {
    fn look(all: &[&Readiness], patience: Patience) -> Polled {
        let mut polled = Polled {
            ready: Vec::new(),
            bell: None,
        };
        for (position, one) in all.iter().enumerate() {
            let Readiness::Polled(source) = one else {
                continue;
            };
            let waker = match patience {
                Patience::Wait => {
                    let bell = polled.bell.get_or_insert_with(Bell::quiet);
                    Waker::from(bell.clone())
                }
                // Nobody waits here to be told: a bell would cost a system call.
                Patience::Look => Waker::noop().clone(),
            };
            if lock(source)
                .poll_ready(&mut Context::from_waker(&waker))
                .is_ready()
            {
                polled.ready.push(position);
            }
        }
        polled
    }

    fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn is_ready(&self, position: usize) -> bool {
        self.ready.contains(&position)
    }

    /// Adds what tells that one of those may be ready that are not.
    fn add_to<'f>(&'f self, fds: &mut Vec<PollFd<'f>>) {
        if let Some(bell) = &self.bell
            && self.ready.is_empty()
        {
            fds.push(PollFd::new(bell.fd(), PollFlags::IN));
        }
    }
}

/// Nothing is polled.
#[cfg(not(feature = "http"))]
struct Polled;

#[cfg(not(feature = "http"))]
impl Polled {
    fn look(_: &[&Readiness], _: Patience) -> Polled {
        Polled
    }

    fn has_ready(&self) -> bool {
        false
    }

    fn add_to<'f>(&'f self, _: &mut Vec<PollFd<'f>>) {}
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
    fn poll(&mut self, list: List<'_, Resource<Pollable>>) -> Later<Self, Result<Vec<u32>>> {
        let pollables = list
            .iter()
            .map(|pollable| Ok(&self.table.get(&pollable)?.0));
        let positions = |ready: Vec<usize>| ready.into_iter().map(|at| at as u32).collect();
        let ready = match pollables.collect::<Result<Vec<_>>>() {
            Err(error) => return Later::Now(Err(error)),
            Ok(none) if none.is_empty() => {
                return Later::Now(Err(anyhow!("poll was called with an empty list")));
            }
            Ok(pollables) => ready(&pollables, &self.reaction),
        };
        ready.map(move |ready| ready.map(positions))
    }
}

impl io::poll::HostPollable for WasiCtx {
    fn ready(&mut self, this: Resource<Pollable>) -> Result<bool> {
        let pollable = &self.table.get(&this)?.0;
        Ok(!wait_for(&[pollable], Patience::Look)?.is_empty())
    }

    fn block(&mut self, this: Resource<Pollable>) -> Later<Self, Result<()>> {
        match self.table.get(&this) {
            Ok(pollable) => ready(&[&pollable.0], &self.reaction).map(|ready| ready.map(drop)),
            Err(error) => Later::Now(Err(error.into())),
        }
    }

    fn drop(&mut self, this: Resource<Pollable>) -> Result<()> {
        self.give_up(this)
    }
}

type Input = Resource<InputStream>;
type Output = Resource<OutputStream>;
type Fallible<R> = Result<R, Failure>;

/// So many zero bytes.
fn zeros(length: u64) -> Fallible<Vec<u8>> {
    match length > WRITE_PERMIT {
        true => Err(Failure::Trap(anyhow!(
            "a guest wrote {length} zero bytes; check-write permitted {WRITE_PERMIT}"
        ))),
        false => Ok(vec![0; length as usize]),
    }
}

/// What every function of streams is made of.
impl WasiCtx {
    fn read_input(&mut self, this: &Input, length: u64) -> Fallible<Vec<u8>> {
        self.table.get_mut(this)?.read(length)
    }

    /// A blocking read.
    fn read_later(&mut self, this: Input, length: u64) -> Later<Self, Fallible<Vec<u8>>> {
        in_steps(self, move |host| {
            let bytes = host.read_input(&this, length)?;
            Ok(match bytes.is_empty() && length > 0 {
                true => Step::After(host.table.get(&this)?.subscribe().0),
                false => Step::Done(bytes),
            })
        })
    }

    /// A blocking write, and flush.
    fn write_later(&mut self, this: Output, bytes: &[u8]) -> Later<Self, Fallible<()>> {
        // What is kept meanwhile is no more than a write is permitted at most. Guests are to write
        // less than that here.
        if !wait::is_awaited() || bytes.len() as u64 > WRITE_PERMIT {
            let stream = self.table.get_mut(&this).map_err(Failure::from);
            return Later::Now(stream.and_then(|stream| stream.write_blocking(bytes)));
        }
        // Most often all of it is taken at once, and nothing has to be kept.
        let stream = self.table.get_mut(&this).map_err(Failure::from);
        let written = stream.and_then(|stream| stream.write_some(bytes));
        let mut rest = match written {
            Ok(written) => bytes[written..].to_vec(),
            Err(error) => return Later::Now(Err(error)),
        };
        in_steps(self, move |host| {
            let stream = host.table.get_mut(&this)?;
            if !rest.is_empty() {
                let written = stream.write_some(&rest)?;
                rest.drain(..written);
            }
            Ok(match rest.is_empty() && stream.flush(Blocking::No)? {
                true => Step::Done(()),
                false => Step::After(stream.subscribe().0),
            })
        })
    }

    /// Moves bytes from one stream to another, when there is room and there are some.
    fn splice_later(&mut self, to: Output, from: Input, length: u64) -> Later<Self, Fallible<u64>> {
        let mut has_room = false;
        in_steps(self, move |host| {
            if !std::mem::replace(&mut has_room, true) {
                return Ok(Step::After(host.table.get(&to)?.subscribe().0));
            }
            let most = length.min(host.table.get_mut(&to)?.permit()?);
            let count = host.move_bytes(&to, &from, most)?;
            Ok(match count == 0 && most > 0 {
                true => Step::After(host.table.get(&from)?.subscribe().0),
                false => Step::Done(count),
            })
        })
    }

    fn write_output(&mut self, this: &Output, bytes: &[u8]) -> Fallible<()> {
        self.table.get_mut(this)?.write(bytes)
    }

    /// Moves so many bytes at most, of those that are there, from one stream to another.
    fn move_bytes(&mut self, to: &Output, from: &Input, most: u64) -> Fallible<u64> {
        let bytes = self.read_input(from, most)?;
        self.write_output(to, &bytes)?;
        Ok(bytes.len() as u64)
    }
}

impl io::streams::Host for WasiCtx {}

impl io::streams::HostInputStream for WasiCtx {
    #[inline]
    fn read(&mut self, this: Input, length: u64) -> Fallible<Vec<u8>> {
        self.read_input(&this, length)
    }

    #[inline]
    fn blocking_read(&mut self, this: Input, length: u64) -> Later<Self, Fallible<Vec<u8>>> {
        self.read_later(this, length)
    }

    fn skip(&mut self, this: Input, length: u64) -> Fallible<u64> {
        Ok(self.read_input(&this, length)?.len() as u64)
    }

    fn blocking_skip(&mut self, this: Input, length: u64) -> Later<Self, Fallible<u64>> {
        let read = self.read_later(this, length);
        read.map(|read| read.map(|bytes| bytes.len() as u64))
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
        self.table.get_mut(&this)?.permit()
    }

    #[inline]
    fn write(&mut self, this: Output, contents: &[u8]) -> Fallible<()> {
        self.write_output(&this, contents)
    }

    #[inline]
    fn blocking_write_and_flush(
        &mut self,
        this: Output,
        contents: &[u8],
    ) -> Later<Self, Fallible<()>> {
        self.write_later(this, contents)
    }

    fn write_zeroes(&mut self, this: Output, length: u64) -> Fallible<()> {
        self.write_output(&this, &zeros(length)?)
    }

    fn blocking_write_zeroes_and_flush(
        &mut self,
        this: Output,
        length: u64,
    ) -> Later<Self, Fallible<()>> {
        match zeros(length) {
            Ok(bytes) => self.write_later(this, &bytes),
            Err(error) => Later::Now(Err(error)),
        }
    }

    fn flush(&mut self, this: Output) -> Fallible<()> {
        self.table.get_mut(&this)?.flush(Blocking::No).map(drop)
    }

    fn blocking_flush(&mut self, this: Output) -> Later<Self, Fallible<()>> {
        self.write_later(this, &[])
    }

    fn subscribe(&mut self, this: Output) -> Result<Resource<Pollable>> {
        let pollable = self.table.get(&this)?.subscribe();
        Ok(self.table.push(pollable)?)
    }

    fn splice(&mut self, this: Output, from: Input, length: u64) -> Fallible<u64> {
        let permit = self.table.get_mut(&this)?.permit()?;
        self.move_bytes(&this, &from, length.min(permit))
    }

    fn blocking_splice(
        &mut self,
        this: Output,
        from: Input,
        length: u64,
    ) -> Later<Self, Fallible<u64>> {
        self.splice_later(this, from, length)
    }

    fn drop(&mut self, this: Output) -> Result<()> {
        self.give_up(this)
    }
}
