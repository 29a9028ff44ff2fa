//! An executor of one future, which its thread waits for.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// Runs a future on this thread.
pub fn block_on<O>(future: impl Future<Output = O>) -> O {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        let mut cx = Context::from_waker(&waker);
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        std::thread::park();
    }
}
