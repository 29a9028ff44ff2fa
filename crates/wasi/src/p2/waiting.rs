//! What guests of 0.2 wait for where they are awaited: without the thread, which serves others
//! meanwhile. Elsewhere they wait on their thread ([`wait_for`]).

use crate::common::bytes::{duplicate, is_ready};
use crate::common::context::WasiCtx;
use crate::common::reactor::{Interest, OwnWatch, Reaction};
#[cfg(feature = "http")]
use crate::common::stdio::lock;
use crate::p2::io::{Failure, Patience, Readiness, wait_for};
use anyhow::Result;
use rustix::event::PollFlags;
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use trampette_runtime::{Later, wait};

/// Waits for at least one of several to be ready.
struct Waiting {
    all: Vec<Readiness>,
    watched: Vec<Watched>,
    sleep: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// A file descriptor that is watched.
struct Watched {
    fd: Arc<OwnedFd>,
    what: PollFlags,
    watch: OwnWatch,
}

impl Watched {
    /// Whether it is ready; if not, the waker is used when it may be.
    ///
    /// # Errors
    /// If it cannot be watched any more.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let interest = match self.what.contains(PollFlags::OUT) {
            true => Interest::Write,
            false => Interest::Read,
        };
        let mut look = || match is_ready(self.fd.as_fd(), self.what)? {
            true => Ok(1),
            false => Err(io::ErrorKind::WouldBlock.into()),
        };
        self.watch.poll_io(cx, interest, &mut look).map_ok(drop)
    }
}

impl Waiting {
    /// # Errors
    /// If something is not to be watched.
    fn new(all: &[&Readiness], reaction: &Reaction) -> io::Result<Waiting> {
        let mut watched = Vec::new();
        let mut seen = HashSet::new();
        for one in all {
            let Some((fd, what)) = one.watched() else {
                continue;
            };
            // However many wait for the same, it is watched once; by a descriptor of its own, as
            // others may watch it too.
            if seen.insert((fd.as_raw_fd(), what)) {
                let fd = duplicate(fd)?;
                let watch = OwnWatch::new(reaction, fd.clone())?;
                watched.push(Watched { fd, what, watch });
            }
        }
        let instants = all.iter().filter_map(|one| match one {
            Readiness::At(instant) => Some(*instant),
            _ => None,
        });
        Ok(Waiting {
            sleep: instants.min().map(|until| reaction.sleep_until(until)),
            all: all.iter().copied().cloned().collect(),
            watched,
        })
    }

    /// The positions of those that are ready.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<usize>>> {
        let mut may_be_ready = self.all.iter().any(|one| matches!(one, Readiness::Ready));
        for watched in &self.watched {
            match watched.poll(cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                polled => may_be_ready |= polled.is_ready(),
            }
        }
        #[cfg(feature = "http")]
        for one in &self.all {
            if let Readiness::Polled(source) = one {
                may_be_ready |= lock(source).poll_ready(cx).is_ready();
            }
        }
        if let Some(sleep) = &mut self.sleep {
            may_be_ready |= sleep.as_mut().poll(cx).is_ready();
        }
        if !may_be_ready {
            return Poll::Pending;
        }
        let all: Vec<&Readiness> = self.all.iter().collect();
        match wait_for(&all, Patience::Look) {
            Ok(ready) if ready.is_empty() => {
                // Another one was faster; what was ready has to be asked again.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            looked => Poll::Ready(looked),
        }
    }
}

/// The positions of those that are ready, when there are some.
pub(crate) fn ready(all: &[&Readiness], reaction: &Reaction) -> Later<WasiCtx, Result<Vec<usize>>> {
    match wait::is_awaited() {
        true => ready_later(all, reaction),
        false => Later::Now(wait_for(all, Patience::Wait)),
    }
}

/// The same for a guest that is awaited. It may be what is polled that asks, and no guest's code is
/// on the stack.
fn ready_later(all: &[&Readiness], reaction: &Reaction) -> Later<WasiCtx, Result<Vec<usize>>> {
    if all.iter().all(|one| matches!(one, Readiness::Never)) {
        return Later::Now(wait_for(all, Patience::Wait));
    }
    match wait_for(all, Patience::Look) {
        Ok(ready) if ready.is_empty() => {}
        looked => return Later::Now(looked),
    }
    match Waiting::new(all, reaction) {
        Ok(mut waiting) => Later::poll(move |_, cx| waiting.poll(cx)),
        Err(_) if wait::is_awaited() => Later::Now(wait_for(all, Patience::Wait)),
        // Nothing would end a wait here.
        Err(error) => Later::Now(Err(error.into())),
    }
}

/// What a step of an operation came to.
pub(crate) enum Step<R> {
    Done(R),
    /// Another step is worth it when this is ready.
    After(Readiness),
}

/// Takes steps until one is the last.
pub(crate) fn in_steps<R: 'static>(
    host: &mut WasiCtx,
    step: impl FnMut(&mut WasiCtx) -> Result<Step<R>, Failure> + Send + 'static,
) -> Later<WasiCtx, Result<R, Failure>> {
    steps_with(ready, host, step)
}

/// The same, with what says when something is ready as long as the guest's call is on the stack.
fn steps_with<R: 'static>(
    ready: Ready,
    host: &mut WasiCtx,
    mut step: impl FnMut(&mut WasiCtx) -> Result<Step<R>, Failure> + Send + 'static,
) -> Later<WasiCtx, Result<R, Failure>> {
    let mut waits: Option<Wait> = match next(ready, host, &mut step) {
        Ok(Next::Done(result)) => return Later::Now(Ok(result)),
        Ok(Next::Waits(wait)) => Some(wait),
        Err(error) => return Later::Now(Err(error)),
    };
    Later::poll(move |host: &mut WasiCtx, cx| {
        loop {
            if let Some(wait) = &mut waits {
                match wait(host, cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Failure::Trap(error))),
                    Poll::Ready(Ok(_)) => waits = None,
                }
            }
            match next(ready_later, host, &mut step) {
                Ok(Next::Done(result)) => return Poll::Ready(Ok(result)),
                Ok(Next::Waits(wait)) => waits = Some(wait),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    })
}

/// [`ready`] or [`ready_later`].
type Ready = fn(&[&Readiness], &Reaction) -> Later<WasiCtx, Result<Vec<usize>>>;

type Wait = Box<dyn FnMut(&mut WasiCtx, &mut Context<'_>) -> Poll<Result<Vec<usize>>> + Send>;

enum Next<R> {
    Done(R),
    Waits(Wait),
}

/// Takes steps until one is the last, or there is something to wait for that is not ready.
fn next<R>(
    ready: Ready,
    host: &mut WasiCtx,
    step: &mut impl FnMut(&mut WasiCtx) -> Result<Step<R>, Failure>,
) -> Result<Next<R>, Failure> {
    loop {
        match step(host)? {
            Step::Done(result) => return Ok(Next::Done(result)),
            Step::After(readiness) => match ready(&[&readiness], &host.reaction) {
                Later::Now(Ok(_)) => {}
                Later::Now(Err(error)) => return Err(Failure::Trap(error)),
                Later::Wait(wait) => return Ok(Next::Waits(wait)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WasiCtxBuilder;
    use crate::common::bytes;
    use crate::common::reactor::TokioReactor;
    use crate::common::stdio::StreamFd;
    use std::fs::File;
    use std::io::Write;
    use std::net::UdpSocket;
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    fn after(milliseconds: u64) -> Readiness {
        Readiness::At(Instant::now() + Duration::from_millis(milliseconds))
    }

    /// What becomes ready, with what makes it so.
    fn pipe() -> (Readiness, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        let file = File::from(OwnedFd::from(near));
        (Readiness::Input(StreamFd::File(Arc::new(file))), far)
    }

    /// The positions that are ready at last, and how often it was asked.
    fn wait(all: &[&Readiness]) -> (Vec<usize>, u32) {
        let mut waiting = Waiting::new(all, &Reaction::default()).unwrap();
        let mut polls = 0;
        let ready = futures(std::future::poll_fn(|cx| {
            polls += 1;
            waiting.poll(cx)
        }));
        (ready.unwrap(), polls)
    }

    fn futures<O>(future: impl Future<Output = O>) -> O {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(future)
    }

    #[test]
    fn whatever_is_ready_first_ends_the_wait() {
        let never = Readiness::Never;
        let (input, mut far) = pipe();
        let (other, _far) = pipe();
        // A timer, before whatever comes later or never.
        let (soon, late) = (after(20), after(60_000));
        let (ready, polls) = wait(&[&never, &input, &late, &soon, &other]);
        assert_eq!(ready, [3]);
        assert!(polls < 6, "{polls} polls");
        // Bytes that another thread writes, for all that wait for them.
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            far.write_all(b"x").unwrap();
            far
        });
        let (ready, polls) = wait(&[&late, &input, &never, &input, &other]);
        assert_eq!(ready, [1, 3]);
        assert!(polls < 6, "{polls} polls");
        drop(writer.join().unwrap());
        // The end is something, too.
        assert_eq!(wait(&[&other, &input]).0, [1]);
        assert_eq!(wait(&[&late, &Readiness::Ready, &other]).0, [1]);
    }

    /// An error is what a reader waits for, too: it gets it.
    #[test]
    fn refused_datagrams_end_the_wait() {
        let here = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = here();
        let nobody = here().local_addr().unwrap();
        socket.connect(nobody).unwrap();
        let input = Readiness::Answer(Arc::new(socket.try_clone().unwrap().into()));
        let sender = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            socket.send(b"x").unwrap();
            socket
        });
        let (ready, polls) = wait(&[&after(20_000), &input]);
        assert_eq!(ready, [1]);
        assert!(polls < 6, "{polls} polls");
        let socket = sender.join().unwrap();
        assert!(socket.recv(&mut [0]).is_err());
        // Guests of 0.3 just receive.
        socket.set_nonblocking(true).unwrap();
        let mut waiting = bytes::Waiting::new(Reaction::default());
        let mut is_first = true;
        let received = futures(std::future::poll_fn(|cx| {
            let watched = || duplicate(socket.as_fd());
            let receive = || socket.recv(&mut [0]);
            let polled = waiting.poll_io(cx, Interest::Read, watched, receive);
            if std::mem::replace(&mut is_first, false) {
                assert!(polled.is_pending());
                socket.send(b"x").unwrap();
            }
            polled
        }));
        assert_eq!(
            received.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }

    /// However often an operation has to wait, no thread does: no guest's call says then that it is
    /// awaited.
    #[test]
    fn all_steps_leave_the_thread_alone() {
        const STEPS: u32 = 5;
        const TIME: u64 = 20;
        let mut host = WasiCtxBuilder::new().build();
        let mut steps = 0;
        let began = Instant::now();
        let later = steps_with(ready_later, &mut host, move |_| {
            steps += 1;
            Ok(match steps <= STEPS {
                true => Step::After(after(TIME)),
                false => Step::Done(steps),
            })
        });
        let Later::Wait(mut poll) = later else {
            panic!("it waits");
        };
        let mut pending = 0;
        let done = futures(std::future::poll_fn(|cx| {
            let polled = poll(&mut host, cx);
            pending += u32::from(polled.is_pending());
            polled
        }));
        assert!(matches!(done, Ok(6)));
        assert!(began.elapsed() >= Duration::from_millis(TIME) * STEPS);
        // Each step has given the thread back.
        assert!(pending >= STEPS, "{pending} of {STEPS}");
    }

    /// A descriptor that nobody watches any more is no reason to look again and again.
    #[test]
    fn reactors_that_are_gone_end_the_wait() {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let reactor = TokioReactor::new(runtime.handle().clone());
        let (input, _far) = pipe();
        let mut waiting = Waiting::new(&[&input], &Reaction(Some(Arc::new(reactor)))).unwrap();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(waiting.poll(&mut cx).is_pending());
        drop(runtime);
        assert!(matches!(waiting.poll(&mut cx), Poll::Ready(Err(_))));
    }

    /// Files are always ready, and no reactor watches them.
    #[test]
    fn what_cannot_be_watched_is_left_to_the_thread() {
        let file = tempfile::tempfile().unwrap();
        let file = Readiness::Input(StreamFd::File(Arc::new(file)));
        assert!(Waiting::new(&[&file], &Reaction::default()).is_err());
        assert_eq!(wait_for(&[&file], Patience::Wait).unwrap(), [0]);
    }
}
