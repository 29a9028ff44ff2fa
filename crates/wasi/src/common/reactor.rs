//! What waits for the hosts of 0.3: for time, for file descriptors, for work that blocks.
//! [`Reactor`] is all that they know of an executor; [`TokioReactor`] is one of tokio's.

use crate::common::outcome::{Settled, outcome};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Handle};

/// What lets the hosts of WASI 0.3 wait without the thread that runs the guest.
///
/// A context without one of its own uses a thread that all of them share
/// ([`TokioReactor::shared`]). Whoever drives stores in a runtime of tokio's saves the way to that
/// thread with a [`TokioReactor`] of that runtime; other executors can be reached by implementing
/// this.
///
/// ```
/// use std::sync::Arc;
/// use trampette_wasi::{TokioReactor, WasiCtxBuilder};
///
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
/// let reactor = TokioReactor::new(runtime.handle().clone());
/// let wasi = WasiCtxBuilder::new().reactor(Arc::new(reactor)).build();
/// // … drive a store with it: `runtime.block_on(…)`.
/// # let _ = wasi;
/// # std::io::Result::Ok(())
/// ```
pub trait Reactor: Send + Sync + 'static {
    /// Is done at that instant, or later.
    fn sleep_until(&self, until: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Begins to watch a file descriptor; it is watched until what this gives is dropped.
    ///
    /// # Errors
    /// What the system says: with `EPERM` that there is nothing to wait for, as of a regular file.
    fn watch(&self, fd: Arc<OwnedFd>) -> io::Result<Box<dyn Watch>>;

    /// Does work that may block for a while, on another thread. There is a limit to the number of
    /// such threads; what is beyond it waits for its turn.
    fn run_blocking(&self, work: Box<dyn FnOnce() + Send>);
}

/// What is waited for at a file descriptor.
///
/// ```
/// assert_ne!(trampette_wasi::Interest::Read, trampette_wasi::Interest::Write);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interest {
    /// That there is something to read, or the end.
    Read,
    /// That there is room to write.
    Write,
}

/// A file descriptor that a [`Reactor`] watches.
///
/// ```
/// use std::io;
/// use std::os::unix::net::UnixStream;
/// use std::sync::Arc;
/// use std::task::{Context, Waker};
/// use trampette_wasi::{Interest, Reactor, TokioReactor, Watch};
///
/// let (near, far) = UnixStream::pair()?;
/// let watch: Box<dyn Watch> = TokioReactor::shared().watch(Arc::new(near.into()))?;
/// let mut cx = Context::from_waker(Waker::noop());
/// let mut read = || Err(io::ErrorKind::WouldBlock.into());
/// assert!(watch.poll_io(&mut cx, Interest::Read, &mut read).is_pending());
/// # drop(far);
/// # io::Result::Ok(())
/// ```
pub trait Watch: Send + Sync {
    /// Tries something that fails with [`io::ErrorKind::WouldBlock`] as long as it would block; at
    /// the latest when the context's waker is used it is worth another try. One waker is kept for
    /// each interest: the last one.
    fn poll_io(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        operation: &mut dyn FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>>;
}

/// A [`Reactor`] of tokio's.
///
/// ```
/// // The one that contexts use by default.
/// let reactor = trampette_wasi::TokioReactor::shared();
/// # let _ = reactor;
/// ```
#[derive(Clone)]
pub struct TokioReactor(Handle);

/// Threads that the shared reactor has for work that blocks.
const SHARED_THREADS: usize = 16;

/// As long as tokio's timers can be trusted to wait.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

impl TokioReactor {
    /// The one of a runtime whose drivers of I/O and time are enabled. Work that blocks goes to the
    /// runtime's threads for such work, as many as the runtime was built with.
    pub fn new(runtime: Handle) -> TokioReactor {
        TokioReactor(runtime)
    }

    /// The one that contexts use by default: a thread of the process, started when it is first
    /// asked for.
    ///
    /// # Panics
    /// If the system has no such thread or no `epoll` to give.
    pub fn shared() -> TokioReactor {
        static SHARED: OnceLock<Handle> = OnceLock::new();
        let handle = SHARED.get_or_init(|| {
            let mut builder = Builder::new_current_thread();
            builder.enable_io().enable_time();
            builder.max_blocking_threads(SHARED_THREADS);
            let runtime = builder.build().expect("the system gives an epoll");
            let handle = runtime.handle().clone();
            let thread = std::thread::Builder::new().name("trampette-wasi".to_string());
            let run = move || runtime.block_on(std::future::pending::<()>());
            thread.spawn(run).expect("the system gives a thread");
            handle
        });
        TokioReactor(handle.clone())
    }
}

impl fmt::Debug for TokioReactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokioReactor")
    }
}

impl Reactor for TokioReactor {
    fn sleep_until(&self, until: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let handle = self.0.clone();
        Box::pin(async move {
            loop {
                let now = Instant::now();
                if until <= now {
                    return;
                }
                let sleep = {
                    let _entered = handle.enter();
                    tokio::time::sleep_until(until.min(now + LONGEST).into())
                };
                sleep.await;
            }
        })
    }

    fn watch(&self, fd: Arc<OwnedFd>) -> io::Result<Box<dyn Watch>> {
        let _entered = self.0.enter();
        // SAFETY: the descriptor is owned by what is registered, and nobody replaces it.
        Ok(Box::new(unsafe { AsyncFd::register(fd) }?))
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.0.spawn_blocking(work);
    }
}

impl Watch for AsyncFd<Arc<OwnedFd>> {
    fn poll_io(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        operation: &mut dyn FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(match interest {
                Interest::Read => self.poll_read_ready(cx),
                Interest::Write => self.poll_write_ready(cx),
            })?;
            match guard.try_io(|_| operation()) {
                Ok(result) => return Poll::Ready(result),
                Err(_would_block) => {}
            }
        }
    }
}

/// What is watched for one alone, in one direction.
pub(crate) struct OwnWatch {
    watch: Box<dyn Watch>,
    is_of_datagrams: bool,
}

impl OwnWatch {
    /// # Errors
    /// As of [`Reactor::watch`].
    pub(crate) fn new(reaction: &Reaction, fd: Arc<OwnedFd>) -> io::Result<OwnWatch> {
        let kind = rustix::net::sockopt::socket_type(&fd);
        Ok(OwnWatch {
            is_of_datagrams: kind == Ok(rustix::net::SocketType::DGRAM),
            watch: reaction.watch(fd)?,
        })
    }

    /// As [`Watch::poll_io`].
    pub(crate) fn poll_io(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        operation: &mut dyn FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let polled = self.watch.poll_io(cx, interest, operation);
        if polled.is_pending() && interest == Interest::Read && self.is_of_datagrams {
            // That one sent before was refused is for readers to get, but no event of theirs.
            return self.watch.poll_io(cx, Interest::Write, operation);
        }
        polled
    }
}

/// The reactor of a context: one that was given, or the shared one, which is started when
/// something really waits.
#[derive(Clone, Default)]
pub(crate) struct Reaction(pub(crate) Option<Arc<dyn Reactor>>);

impl Reaction {
    fn with<R>(&self, f: impl FnOnce(&dyn Reactor) -> R) -> R {
        match &self.0 {
            Some(reactor) => f(&**reactor),
            None => f(&TokioReactor::shared()),
        }
    }

    pub(crate) fn sleep_until(&self, until: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.with(|reactor| reactor.sleep_until(until))
    }

    pub(crate) fn watch(&self, fd: Arc<OwnedFd>) -> io::Result<Box<dyn Watch>> {
        self.with(|reactor| reactor.watch(fd))
    }

    /// Does work that may block, and is done with its result. The work is done to its end, also if
    /// nobody waits for the result any more.
    pub(crate) fn run_blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Settled<Option<R>> {
        let (settle, settled) = outcome();
        let work = move || settle.settle(Some(work()));
        self.with(|reactor| reactor.run_blocking(Box::new(work)));
        settled
    }
}
