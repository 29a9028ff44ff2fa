//! How many file descriptors of the host's a guest may hold, and how many of them for sockets.

use crate::p2::bindings::wasi::filesystem::types::ErrorCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is left to a guest; shared by all that it opens.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    descriptors: Left,
    sockets: Left,
}

impl Budget {
    /// How many a guest may hold if the host does not say: fewer than a process may have by default
    /// on Linux (1,024).
    pub(crate) const DEFAULT: usize = 1000;

    /// So many, all of them for sockets if the guest likes.
    pub(crate) fn new(descriptors: usize) -> Budget {
        Budget {
            descriptors: Left::new(descriptors),
            sockets: Left::new(usize::MAX),
        }
    }

    /// Sets how many there may be; for contexts whose guest has opened nothing yet.
    pub(crate) fn set_descriptors(&mut self, limit: usize) {
        self.descriptors = Left::new(limit);
    }

    /// Sets how many of them may be sockets; likewise.
    pub(crate) fn set_sockets(&mut self, limit: usize) {
        self.sockets = Left::new(limit);
    }

    /// Takes one, until what is given is dropped.
    ///
    /// # Errors
    /// If none is left. WASI 0.2 has no code for that; this one stands for it.
    pub(crate) fn take(&self) -> Result<Held, ErrorCode> {
        let descriptor = self.descriptors.take();
        Ok(Held {
            _descriptor: descriptor.ok_or(ErrorCode::InsufficientMemory)?,
            _socket: None,
        })
    }

    /// Takes one for a socket, until what is given is dropped; `None` if none is left.
    pub(crate) fn take_socket(&self) -> Option<Held> {
        Some(Held {
            _descriptor: self.descriptors.take()?,
            _socket: Some(self.sockets.take()?),
        })
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.descriptors.0.load(Ordering::Relaxed) == 0
    }
}

/// A number of things that are left.
#[derive(Clone, Debug)]
struct Left(Arc<AtomicUsize>);

impl Left {
    fn new(limit: usize) -> Left {
        Left(Arc::new(AtomicUsize::new(limit)))
    }

    fn take(&self) -> Option<Taken> {
        let fewer = |left: usize| left.checked_sub(1);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        taken.ok().map(|_| Taken(self.clone()))
    }
}

/// One of them, until it is dropped.
#[derive(Debug)]
struct Taken(Left);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One file descriptor, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    _descriptor: Taken,
    _socket: Option<Taken>,
}
