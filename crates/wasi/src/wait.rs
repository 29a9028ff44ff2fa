//! Waiting: the one place where a host function blocks.
//!
//! Sleeping, polling, and reading from or writing to what may not be ready all come through
//! [`wait`], so that whatever is to end a wait early is decided here.

use anyhow::Result;
use rustix::event::{PollFd, Timespec, poll};
use rustix::io::Errno;
use std::time::Instant;

/// Waits until at least one of the file descriptors is ready, at the longest until that instant
/// (`None`: for ever). Gives how many are ready: 0 when the time is up.
///
/// # Errors
/// If waiting was ended from outside, or cannot begin: the call of the guest traps with that error.
pub(crate) fn wait(fds: &mut [PollFd<'_>], until: Option<Instant>) -> Result<usize> {
    loop {
        let rest = until.map(|instant| instant.saturating_duration_since(Instant::now()));
        // What the system cannot express lasts for longer than the machine.
        let rest = rest.and_then(|rest| Timespec::try_from(rest).ok());
        match poll(fds, rest.as_ref()) {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Ends a long loop of the host's where [`wait`] would end.
///
/// # Errors
/// As [`wait`].
pub(crate) fn checkpoint() -> Result<()> {
    wait(&mut [], Some(Instant::now()))?;
    Ok(())
}
