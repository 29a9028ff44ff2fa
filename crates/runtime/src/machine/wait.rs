//! Waits of host functions that end with the call: when it is interrupted
//! ([`InterruptHandle`](crate::InterruptHandle)) or its deadline passes
//! ([`Store::set_deadline`](crate::Store::set_deadline)).
//!
//! They find the call by the thread that they run on. Where no guest has called, or nothing can
//! stop the call, they just wait. Their error is a [`Trap`]: a host function passes it on, and so
//! the guest's call ends with a trap of kind [`TrapCode::Interrupt`] or [`TrapCode::Deadline`].
//!
//! ```
//! use std::time::Duration;
//! use trampette_runtime::{Linker, wait};
//!
//! # fn main() -> anyhow::Result<()> {
//! let mut linker = Linker::<()>::new();
//! linker.root().func_wrap::<(u32,), (), _>("sleep", |_, (milliseconds,)| {
//!     wait::sleep(Duration::from_millis(milliseconds.into()))
//! })?;
//! linker.root().func_wrap::<(), u64, _>("count", |_, ()| {
//!     let mut primes = 0;
//!     for number in 2..100_000u64 {
//!         // What takes long asks now and then.
//!         wait::check()?;
//!         primes += u64::from((2..number).all(|factor| number % factor != 0));
//!     }
//!     Ok(primes)
//! })?;
//! # Ok(()) }
//! ```

use crate::load::backtrace::{Trap, WasmBacktrace};
use crate::machine::activation::Activation;
use crate::machine::interrupt::{Moment, SIGNAL};
use crate::machine::stacks;
use crate::machine::thread::Thread;
use anyhow::{Error, Result};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};
use trampette_artifact::trap::TrapCode;

pub use rustix::event::{PollFd, PollFlags};

// The kernel takes them as they are.
const _: () = assert!(
    size_of::<PollFd<'_>>() == size_of::<libc::pollfd>()
        && align_of::<PollFd<'_>>() == align_of::<libc::pollfd>()
);

/// The call that the running thread is in.
fn call<'a>() -> Option<&'a Activation> {
    // SAFETY: activations of this thread are live; this function's callers return before the call
    // does.
    unsafe { Activation::current().as_ref() }
}

/// Answers whether the call may go on.
///
/// ```
/// use trampette_runtime::wait;
///
/// fn sum(numbers: &[u64]) -> anyhow::Result<u64> {
///     let mut sum = 0;
///     for part in numbers.chunks(1 << 16) {
///         wait::check()?;
///         sum += part.iter().sum::<u64>();
///     }
///     Ok(sum)
/// }
/// # assert_eq!(sum(&[1, 2]).unwrap(), 3);
/// ```
///
/// # Errors
/// The trap, if it was interrupted or its deadline has passed.
pub fn check() -> Result<()> {
    match call().and_then(Activation::stop_code) {
        None => Ok(()),
        Some(code) => Err(Trap::new(code, 0, WasmBacktrace::default()).into()),
    }
}

/// Whether something can stop the call: its store has a deadline or an
/// [`InterruptHandle`](crate::InterruptHandle), or one around it has. If not, a host function may
/// as well wait by other means.
///
/// ```
/// // Outside of calls, nothing stops anything.
/// assert!(!trampette_runtime::wait::is_stoppable());
/// ```
pub fn is_stoppable() -> bool {
    call().is_some_and(|call| call.deadline().is_some())
}

/// Whether a host function that gives a future, where its guest expects none, waits without the
/// thread: its guest's call is awaited by
/// [`TypedFunc::call_async`](crate::TypedFunc::call_async). If not, such a future is waited for on
/// the thread, and a host function may as well wait here itself.
///
/// ```
/// // Outside of calls, nothing is awaited.
/// assert!(!trampette_runtime::wait::is_awaited());
/// ```
pub fn is_awaited() -> bool {
    stacks::awaited().is_some()
}

/// Why an error of a host function says that the call is to be stopped, if it is one of this
/// module's.
pub(crate) fn stop_code_of(error: &Error) -> Option<TrapCode> {
    let trap = error.downcast_ref::<Trap>()?;
    let is_stop = matches!(trap.kind(), TrapCode::Interrupt | TrapCode::Deadline);
    // That of another guest's call has its own frames.
    (is_stop && trap.frames().is_empty()).then(|| trap.kind())
}

/// Waits until then.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// trampette_runtime::wait::sleep_until(Instant::now() + Duration::from_millis(1))?;
/// # anyhow::Ok(())
/// ```
///
/// # Errors
/// The trap, as soon as the call is interrupted or its deadline has passed.
pub fn sleep_until(until: Instant) -> Result<()> {
    poll(&mut [], Some(until))?;
    Ok(())
}

/// Waits for so long; for ever if that is longer than the clock can express.
///
/// ```
/// trampette_runtime::wait::sleep(std::time::Duration::from_millis(1))?;
/// # anyhow::Ok(())
/// ```
///
/// # Errors
/// As [`sleep_until`].
pub fn sleep(time: Duration) -> Result<()> {
    poll(&mut [], Instant::now().checked_add(time))?;
    Ok(())
}

/// Waits for events of file descriptors, until then at the latest (`None`: for ever). Gives how
/// many have events: 0 when the time is over.
///
/// ```
/// use std::os::unix::net::UnixStream;
/// use trampette_runtime::wait::{self, PollFd, PollFlags};
///
/// let (near, far) = UnixStream::pair()?;
/// drop(far);
/// let events = wait::poll(&mut [PollFd::new(&near, PollFlags::IN)], None)?;
/// assert_eq!(events, 1);
/// # anyhow::Ok(())
/// ```
///
/// # Errors
/// The trap, as soon as the call is interrupted or its deadline has passed; or what the kernel
/// says.
pub fn poll(fds: &mut [PollFd<'_>], until: Option<Instant>) -> Result<usize> {
    loop {
        let call = call();
        // `None` if nothing can stop it.
        let deadline = call.and_then(Activation::deadline);
        let end = deadline.and_then(Moment::instant);
        let end = until.into_iter().chain(end).min();
        let events = match deadline {
            None => poll_once(fds, end, null()),
            Some(_) => {
                // Between the check and the wait no signal may be missed.
                let blocked = Blocked::new();
                check()?;
                poll_once(fds, end, &blocked.before)
            }
        };
        match events {
            Ok(0) if until.is_some_and(|until| until <= Instant::now()) => return Ok(0),
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(events) => return Ok(events),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The signal of interrupts, blocked in this thread while the value lives.
struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    fn new() -> Blocked {
        let mut signals = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: both sets are initialised by these calls.
        unsafe {
            libc::sigemptyset(signals.as_mut_ptr());
            libc::sigaddset(signals.as_mut_ptr(), SIGNAL);
            libc::pthread_sigmask(libc::SIG_BLOCK, signals.as_ptr(), before.as_mut_ptr());
            Blocked {
                before: before.assume_init(),
            }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: a valid set.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, null_mut()) };
    }
}

/// One wait, with another signal mask if it is not null.
fn poll_once(
    fds: &mut [PollFd<'_>],
    end: Option<Instant>,
    mask: *const libc::sigset_t,
) -> rustix::io::Result<usize> {
    let time = end.map(time_until);
    let time = time.as_ref().map_or(null(), std::ptr::from_ref);
    let first = fds.as_mut_ptr().cast::<libc::pollfd>();
    // SAFETY: the kernel writes the results of as many descriptors; the others live.
    let events = unsafe { libc::ppoll(first, fds.len() as libc::nfds_t, time, mask) };
    usize::try_from(events).map_err(|_| {
        let error = std::io::Error::last_os_error();
        rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::INVAL)
    })
}

/// How long it is until then.
fn time_until(end: Instant) -> libc::timespec {
    let time = end.saturating_duration_since(Instant::now());
    libc::timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// Waits at the word of a waiter of a shared memory (see [`Park`]); ends the wait if the call is to
/// be stopped.
///
/// [`Park`]: crate::memory::shared_memory::Park
pub(crate) fn park(word: &AtomicU32, until: Option<Instant>) {
    let call = call();
    let deadline = call.and_then(Activation::deadline);
    let end = deadline.and_then(Moment::instant);
    let end = until.into_iter().chain(end).min();
    let is_over = || call.is_some_and(|call| call.stop_code().is_some());
    Thread::with(|thread| thread.park(word, end.map(time_until), is_over));
}
