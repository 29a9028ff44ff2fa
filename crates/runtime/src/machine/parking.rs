//! [`Parking`]: how a thread that drives a store waits until there is something to do.

use crate::load::backtrace::{Trap, WasmBacktrace};
use crate::machine::activation::Activation;
use crate::machine::instance::InstanceData;
use crate::machine::thread::Thread;
use crate::machine::wait;
use crate::memory::shared_memory::WAITING;
use anyhow::Result;
use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Wake, Waker};

/// The word of a thread that is not to wait.
const WOKEN: u32 = 1;

/// Lets the running thread wait for its store. Most calls never wait, and cost no allocation.
#[derive(Default)]
pub(crate) struct Parking {
    parker: OnceCell<Arc<Parker>>,
}

#[derive(Default)]
struct Parker {
    /// [`WAITING`], [`WOKEN`], or what ends the wait for another reason.
    word: AtomicU32,
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.word.swap(WOKEN, Ordering::AcqRel) == WAITING {
            let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
            // SAFETY: only the word's address counts.
            unsafe { libc::syscall(libc::SYS_futex, self.word.as_ptr(), operation, 1) };
        }
    }
}

impl Parking {
    /// Waits until the instance's store has something to do, if it has nothing already; perhaps not
    /// so long. For whoever would stop it, it is a call of the instance meanwhile.
    ///
    /// # Errors
    /// The trap, as soon as the call is interrupted or its deadline has passed.
    pub(crate) fn wait(&self, instance: &InstanceData) -> Result<()> {
        let parker = self.parker.get_or_init(Arc::default);
        parker.word.store(WAITING, Ordering::Release);
        let waker = Waker::from(parker.clone());
        instance.store().settling.tell(None);
        let is_idle = instance.store().reactor.set_driver(&waker);
        let activation = Activation::inside(instance, Activation::current());
        Thread::with(|thread| {
            activation.run(thread, || {
                if is_idle {
                    wait::park(&parker.word, None);
                }
            });
        });
        activation.clear_flag();
        match activation.stop_code() {
            None => Ok(()),
            Some(code) => Err(Trap::new(code, 0, WasmBacktrace::default()).into()),
        }
    }
}
