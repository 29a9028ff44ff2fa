//! What the runtime knows about a thread: the innermost call that it runs, and how much of its
//! stack guest code may use. Every call of the host looks here, so all of it is behind one thread
//! local.

use crate::machine::activation::Activation;
use crate::memory::mapping::page_size;
use anyhow::{Result, ensure};
use std::cell::Cell;
use std::ptr::null;
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
}

impl Thread {
    /// Calls `f` with the running thread's state. Safe in a signal handler.
    #[inline]
    pub(crate) fn with<R>(f: impl FnOnce(&Thread) -> R) -> R {
        THREAD.with(f)
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
