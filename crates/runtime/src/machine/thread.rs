//! What the runtime knows about a thread: the innermost call that it runs, and how much of its
//! stack guest code may use. Every call of the host looks here, so all of it is behind one thread
//! local.

use crate::machine::activation::Activation;
use crate::memory::mapping::page_size;
use crate::memory::shared_memory::{STOPPED, WAITING};
use anyhow::{Result, ensure};
use std::cell::Cell;
use std::ptr::null;
use std::sync::atomic::{AtomicU32, Ordering};
use trampette_artifact::layout::{GUEST_STACK_LIMIT, STACK_RESERVE_FOR_HOST};

/// Calls that begin in the same aligned block of this many bytes of a stack have the same limit, so
/// that contexts are written only when the host's own depth really changes.
const WINDOW: usize = 4 << 10;

thread_local! {
    static THREAD: Thread = const {
        Thread {
            activation: Cell::new(null()),
            window: Cell::new(0),
            stack_bytes: Cell::new(0),
            limit: Cell::new(0),
            lowest: Cell::new(0),
            number: Cell::new(0),
            parked: Cell::new(null()),
        }
    };
}

/// The state of a thread.
pub(crate) struct Thread {
    /// The innermost activation, or null.
    pub activation: Cell<*const Activation>,
    /// The [`WINDOW`] in which the last outermost call began, and what guest code might use of the
    /// stack then; `limit` is for these two.
    window: Cell<usize>,
    stack_bytes: Cell<usize>,
    limit: Cell<usize>,
    /// The lowest usable address of the stack; 0 before it is known.
    lowest: Cell<usize>,
    /// The kernel's number of the thread; 0 before it is known.
    number: Cell<libc::pid_t>,
    /// The word that the thread is waiting at in [`Thread::park`], or null.
    parked: Cell<*const AtomicU32>,
}

impl Thread {
    /// Calls `f` with the running thread's state. Safe in a signal handler.
    #[inline]
    pub(crate) fn with<R>(f: impl FnOnce(&Thread) -> R) -> R {
        THREAD.with(f)
    }

    /// The kernel's number of the running thread.
    pub(crate) fn number() -> libc::pid_t {
        Thread::with(|thread| match thread.number.get() {
            0 => Thread::number_after_fork(),
            number => number,
        })
    }

    /// The same, which has changed if the process was forked since.
    pub(crate) fn number_after_fork() -> libc::pid_t {
        // SAFETY: no arguments.
        let number = unsafe { libc::gettid() };
        Thread::with(|thread| thread.number.set(number));
        number
    }

    /// Waits while a word is [`WAITING`], for at most `time` (`None`: for ever). May return before
    /// that. [`Thread::unpark`], in a handler of a signal to this thread, ends it; so does what
    /// `is_over` says, which is asked when such a signal cannot be missed any more.
    pub(crate) fn park(
        &self,
        word: &AtomicU32,
        time: Option<libc::timespec>,
        is_over: impl FnOnce() -> bool,
    ) {
        self.parked.set(word);
        if is_over() {
            self.unpark();
        }
        let time = time.as_ref().map_or(null(), std::ptr::from_ref);
        let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: the kernel compares the word and reads the time; both live.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, WAITING, time) };
        self.parked.set(null());
    }

    /// Ends the wait of this thread, if it is in one. Safe in a signal handler.
    pub(crate) fn unpark(&self) {
        // SAFETY: the word lives while the thread waits at it.
        if let Some(word) = unsafe { self.parked.get().as_ref() } {
            // The wait returns by itself when its thread has handled a signal, if the word has
            // another value.
            let order = (Ordering::AcqRel, Ordering::Relaxed);
            let _ = word.compare_exchange(WAITING, STOPPED, order.0, order.1);
        }
    }

    /// What [`Thread::find_stack_limit`] has found for these before, if nothing else since.
    #[inline]
    pub(crate) fn known_stack_limit(&self, here: usize, bytes: usize) -> Option<usize> {
        let is_known = here / WINDOW == self.window.get() && bytes == self.stack_bytes.get();
        is_known.then(|| self.limit.get())
    }

    /// The stack limit for guest code that is entered by a frame that has the address `here` in it,
    /// and may use `bytes`: always with room below for the runtime and host functions. The first
    /// call in a thread also prepares it for guest code's faults.
    pub(crate) fn find_stack_limit(&self, here: usize, bytes: usize) -> Result<usize> {
        if self.lowest.get() == 0 {
            self.prepare()?;
        }
        let lowest = self.lowest.get();
        let window = here / WINDOW;
        let most = bytes.min(GUEST_STACK_LIMIT as usize);
        let below = (window * WINDOW).saturating_sub(most);
        let limit = if here < lowest {
            // Not the thread's own stack (a fiber's): its end is its owner's business.
            below
        } else {
            below.max(lowest + STACK_RESERVE_FOR_HOST as usize)
        };
        self.window.set(window);
        self.stack_bytes.set(bytes);
        self.limit.set(limit);
        Ok(limit)
    }

    /// Finds the end of the thread's stack, without its guard, and gives the thread a stack for
    /// signals.
    fn prepare(&self) -> Result<()> {
        crate::machine::signals::ensure_alternate_stack()?;
        // SAFETY: the attributes are initialised by the first call and destroyed once.
        let lowest = unsafe {
            let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
            let result = libc::pthread_getattr_np(libc::pthread_self(), &mut attributes);
            ensure!(result == 0, "cannot find the thread's stack");
            let (mut start, mut size, mut guard) = (std::ptr::null_mut(), 0, 0);
            libc::pthread_attr_getstack(&attributes, &mut start, &mut size);
            libc::pthread_attr_getguardsize(&attributes, &mut guard);
            libc::pthread_attr_destroy(&mut attributes);
            start.addr() + guard.max(page_size())
        };
        self.lowest.set(lowest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Thread, WINDOW};

    #[test]
    fn the_limit_is_below_and_inside_the_stack() {
        let here = 0u8;
        let here = (&raw const here).addr();
        let limit = |here, bytes| {
            Thread::with(|thread| {
                let limit = thread.find_stack_limit(here, bytes).unwrap();
                assert_eq!(thread.known_stack_limit(here, bytes), Some(limit));
                assert_eq!(thread.known_stack_limit(here, bytes + 1), None);
                limit
            })
        };
        let near = limit(here, 64 << 10);
        assert!(near < here && here - near < 128 << 10);
        let far = limit(here, 1 << 40);
        assert!(far < here && here - far < 16 << 20);
        assert_eq!(limit(here, 64 << 10), near);
        assert_eq!(limit(here - WINDOW, 64 << 10), near - WINDOW);
    }
}
