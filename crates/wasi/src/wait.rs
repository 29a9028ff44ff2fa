//! Waiting: the one place where a host function blocks.
//!
//! Sleeping, polling, and reading from or writing to what may not be ready all come through
//! [`wait`], so that they end when the guest's call is interrupted or its deadline passes.

use anyhow::Result;
use rustix::event::PollFd;
use std::time::Instant;
use trampette_runtime::wait;

/// Waits until at least one of the file descriptors is ready, at the longest until that instant
/// (`None`: for ever). Gives how many are ready: 0 when the time is up.
///
/// # Errors
/// If the call of the guest is to be stopped, or waiting cannot begin: the call traps with that
/// error.
pub(crate) fn wait(fds: &mut [PollFd<'_>], until: Option<Instant>) -> Result<usize> {
    wait::poll(fds, until)
}

/// Ends a long loop of the host's where [`wait`] would end.
///
/// # Errors
/// As [`wait`].
pub(crate) fn checkpoint() -> Result<()> {
    wait::check()
}
