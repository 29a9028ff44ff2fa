//! A future that is ready when it was polled so often.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Lets so many turns of the loop pass.
pub struct Turns(pub u32);

impl Future for Turns {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(left) = self.0.checked_sub(1) else {
            return Poll::Ready(());
        };
        self.0 = left;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
