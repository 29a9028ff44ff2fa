//! Waits of guests of 0.2 that keep their thread: where that is one of an executor's workers, the
//! executor's other tasks go on elsewhere meanwhile.

#[cfg(feature = "http")]
use std::cell::Cell;

#[cfg(feature = "http")]
thread_local! {
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// Runs a guest on a worker of a tokio runtime of several threads. Only where the guest waits does
/// the runtime need another thread.
#[cfg(feature = "http")]
pub(crate) fn on_worker<R>(run: impl FnOnce() -> R) -> R {
    struct Restore(bool);

    impl Drop for Restore {
        fn drop(&mut self) {
            IS_WORKER.set(self.0);
        }
    }

    let _restore = Restore(IS_WORKER.replace(true));
    run()
}

/// Waits.
pub(crate) fn blocking<R>(wait: impl FnOnce() -> R) -> R {
    #[cfg(feature = "http")]
    if IS_WORKER.get() {
        return tokio::task::block_in_place(wait);
    }
    wait()
}
