//! What futures wake a thread by that waits for file descriptors too: one [`Bell`] for each thread.

use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

/// Rings when it is woken, until it is made quiet.
pub(crate) struct Bell {
    fd: OwnedFd,
    has_rung: AtomicBool,
}

thread_local! {
    static OWN: Arc<Bell> = Arc::new(Bell::new());
}

impl Bell {
    fn new() -> Bell {
        // Nobody can do anything about it: it is one descriptor of each thread that waits.
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        Bell {
            fd: fd.expect("the process can open a file descriptor"),
            has_rung: AtomicBool::new(false),
        }
    }

    /// That of this thread, quiet. What was polled with it before may still ring it, for nothing.
    pub(crate) fn quiet() -> Arc<Bell> {
        let bell = OWN.with(Arc::clone);
        let mut count = [0; 8];
        // Whatever its mark says: who has set it may ring only now. In this order: who finds the
        // mark still set rings before what is polled next.
        let _ = rustix::io::read(&bell.fd, &mut count);
        bell.has_rung.store(false, Ordering::SeqCst);
        bell
    }

    /// Readable once it has rung.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.has_rung.swap(true, Ordering::SeqCst) {
            // The count of an eventfd is far from full.
            let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags};

    fn rings(bell: &Bell) -> bool {
        let now = Some(std::time::Instant::now());
        trampette_runtime::wait::poll(&mut [PollFd::new(bell.fd(), PollFlags::IN)], now).unwrap()
            > 0
    }

    #[test]
    fn it_rings_until_it_is_quiet() {
        let bell = Bell::quiet();
        assert!(!rings(&bell));
        let other = bell.clone();
        std::thread::spawn(move || other.wake()).join().unwrap();
        assert!(rings(&bell));
        bell.wake_by_ref();
        assert!(!rings(&Bell::quiet()));
        bell.wake_by_ref();
        assert!(rings(&bell));
    }
}
