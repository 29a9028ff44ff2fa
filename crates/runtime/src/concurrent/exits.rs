//! Calls of the host's of which the embedder wants to know when they are over altogether: when
//! their tasks have exited, long after the result perhaps.

use crate::concurrent::records::CallId;
use crate::concurrent::state::Tasks;
use crate::machine::reactor::wake_quietly;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// How a call was left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// Its task has exited, or will never begin.
    Over,
    /// A trap has ended its instance before.
    Trapped,
    /// Its store was dropped before.
    Gone,
}

/// What a future has of a call.
pub(crate) struct ExitWatch(Arc<Shared>);

/// The store's side of an [`ExitWatch`].
pub(crate) struct ExitTeller(Arc<Shared>);

#[derive(Default)]
struct Shared(Mutex<Watched>);

#[derive(Default)]
struct Watched {
    exit: Option<Exit>,
    waker: Option<Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Watched> {
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExitWatch {
    /// How the call was left, if it was.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Exit> {
        // Neither cloning a waker nor dropping one is to happen under the lock.
        let waker = cx.waker().clone();
        let mut watched = self.0.lock();
        if let Some(exit) = watched.exit {
            drop(watched);
            return Poll::Ready(exit);
        }
        let before = watched.waker.replace(waker);
        drop(watched);
        drop(before);
        Poll::Pending
    }
}

impl ExitTeller {
    /// Tells it, unless that was done before.
    pub(crate) fn tell(&self, exit: Exit) {
        let mut watched = self.0.lock();
        watched.exit.get_or_insert(exit);
        let waker = watched.waker.take();
        drop(watched);
        wake_quietly(waker);
    }
}

impl Drop for ExitTeller {
    fn drop(&mut self) {
        self.tell(Exit::Gone);
    }
}

impl Tasks<'_> {
    /// Has a call watched, which is not over.
    pub(crate) fn watch_exit(self, call: CallId) -> ExitWatch {
        let shared = Arc::<Shared>::default();
        let teller = ExitTeller(shared.clone());
        self.exits.borrow_mut().insert(call, teller);
        ExitWatch(shared)
    }

    /// A call is over.
    #[inline]
    pub(crate) fn tell_exit(self, call: CallId) {
        if !self.exits.borrow().is_empty() {
            self.tell_exit_of(call);
        }
    }

    #[cold]
    #[inline(never)]
    fn tell_exit_of(self, call: CallId) {
        let teller = self.exits.borrow_mut().remove(&call);
        if let Some(teller) = teller {
            teller.tell(Exit::Over);
        }
    }
}
