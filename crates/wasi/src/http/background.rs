//! Where connections go on while guests run: the tokio runtime that the thread is in, or one of the
//! host's own where there is none, or where that has no other thread, which a guest may keep
//! waiting.

use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio::task::JoinHandle;

static OWN: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("wasi-http");
    builder.enable_all().build()
});

/// Starts something that goes on by itself, until what is given is dropped.
pub(crate) fn spawn<O: Send + 'static>(
    future: impl Future<Output = O> + Send + 'static,
) -> std::io::Result<Task<O>> {
    let handle = match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => handle,
        Ok(_) | Err(_) => match &*OWN {
            Ok(runtime) => runtime.handle().clone(),
            Err(error) => return Err(error.kind().into()),
        },
    };
    Ok(Task(handle.spawn(future)))
}

/// What goes on, and ends when this is dropped.
pub(crate) struct Task<O>(JoinHandle<O>);

impl<O> Future for Task<O> {
    /// `None` if it has panicked.
    type Output = Option<O>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<O>> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

impl<O> Drop for Task<O> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
