//! [`Lingering`]: connections that are closed without losing what is on its way to their clients.
//!
//! Where the server closes a connection while its client still sends, as HTTP/2 clients do whenever
//! they have read something, the system answers by a reset, which takes what the client has not
//! read yet. So the server says that it sends no more, and reads on until the client closes too.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// How long a client may take to close.
const MOST: Duration = Duration::from_secs(2);

/// What a connection is made of.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Duplex for S {}

/// A connection that waits for its client when it is dropped.
pub(super) struct Lingering<S: Duplex> {
    /// Taken when this is dropped.
    stream: Option<S>,
    /// Whether the client has closed, or the connection is broken.
    is_over: bool,
    /// As long as this is there, the server has not ended.
    under_way: watch::Receiver<bool>,
}

impl<S: Duplex> Lingering<S> {
    pub(super) fn new(stream: S, under_way: watch::Receiver<bool>) -> Lingering<S> {
        Lingering {
            stream: Some(stream),
            is_over: false,
            under_way,
        }
    }

    /// Does something with the stream.
    fn with<R>(&mut self, f: impl FnOnce(Pin<&mut S>) -> Poll<Result<R>>) -> Poll<Result<R>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Err(std::io::ErrorKind::NotConnected.into()));
        };
        let done = f(Pin::new(stream));
        self.is_over |= matches!(done, Poll::Ready(Err(_)));
        done
    }
}

impl<S: Duplex> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        let room = buffer.remaining();
        let done = self.with(|stream| stream.poll_read(cx, buffer));
        if done.is_ready() && room > 0 && buffer.filled().len() == before {
            self.is_over = true;
        }
        done
    }
}

impl<S: Duplex> AsyncWrite for Lingering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        self.with(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.with(|stream| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(S::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }
}

impl<S: Duplex> Drop for Lingering<S> {
    fn drop(&mut self) {
        let (Some(mut stream), false) = (self.stream.take(), self.is_over) else {
            return;
        };
        // Outside of a runtime the process ends.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let under_way = self.under_way.clone();
        runtime.spawn(async move {
            let wait = async {
                if stream.shutdown().await.is_err() {
                    return;
                }
                let mut unwanted = [0; 4096];
                while matches!(stream.read(&mut unwanted).await, Ok(1..)) {}
            };
            let _ = tokio::time::timeout(MOST, wait).await;
            drop(under_way);
        });
    }
}
