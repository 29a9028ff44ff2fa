//! How many file descriptors of the host's a guest may hold.

use crate::p2::bindings::wasi::filesystem::types::ErrorCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is left to a guest; shared by all that it opens.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// How many a guest may hold if the host does not say: fewer than a process may have by default
    /// on Linux (1,024).
    pub(crate) const DEFAULT: usize = 1000;

    pub(crate) fn new(descriptors: usize) -> Budget {
        Budget(Arc::new(AtomicUsize::new(descriptors)))
    }

    /// Takes one, until what is given is dropped.
    ///
    /// # Errors
    /// If none is left. WASI 0.2 has no code for that; this one stands for it.
    pub(crate) fn take(&self) -> Result<Held, ErrorCode> {
        let fewer = |left: usize| left.checked_sub(1);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        match taken {
            Ok(_) => Ok(Held(self.clone())),
            Err(_) => Err(ErrorCode::InsufficientMemory),
        }
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// One file descriptor, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held(Budget);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}
