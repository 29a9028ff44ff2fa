//! Streams from one instance to another one of the same store, through the host: a consumer and a
//! producer that share a bounded queue.

use crate::concurrent::parties::Progress;
use crate::values::producers::{Items, StreamConsumer, StreamProducer, Window};
use crate::values::typed::{Lift, Lower};
use anyhow::Result;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Most bytes of elements, not counting what they point to, that are kept between the two.
pub(crate) const MOST_BYTES: usize = 64 << 10;

struct Shared<T> {
    items: VecDeque<T>,
    /// Whether the one end or the other has gone.
    is_over: bool,
    /// What waits for the other end.
    waker: Option<Waker>,
}

impl<T> Shared<T> {
    fn room(&self) -> usize {
        let most = (MOST_BYTES / size_of::<T>().max(1)).max(1);
        most - self.items.len()
    }
}

/// One end of the queue.
struct End<T>(Arc<Mutex<Shared<T>>>);

impl<T> End<T> {
    fn lock(&self) -> MutexGuard<'_, Shared<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the other end.
    fn wait<R>(&self, mut shared: MutexGuard<'_, Shared<T>>, cx: &Context<'_>) -> Poll<R> {
        let before = shared.waker.replace(cx.waker().clone());
        drop(shared);
        drop(before);
        Poll::Pending
    }

    /// Something has changed for the other end.
    fn wake(&self, mut shared: MutexGuard<'_, Shared<T>>) {
        let waker = shared.waker.take();
        drop(shared);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        let mut shared = self.lock();
        shared.is_over = true;
        self.wake(shared);
    }
}

/// Reads from the one instance.
pub(crate) struct Reads<T>(End<T>);

/// Writes to the other one.
pub(crate) struct Writes<T>(End<T>);

/// Both ends of a queue.
pub(crate) fn relay<T>() -> (Reads<T>, Writes<T>) {
    let shared = Arc::new(Mutex::new(Shared {
        items: VecDeque::new(),
        is_over: false,
        waker: None,
    }));
    (Reads(End(shared.clone())), Writes(End(shared)))
}

impl<T: Lift + Send> StreamConsumer for Reads<T> {
    type Item = T;

    fn poll_consume(
        &mut self,
        cx: &mut Context<'_>,
        items: &mut Items<'_, T>,
    ) -> Poll<Result<Progress>> {
        let shared = self.0.lock();
        if shared.is_over {
            return Poll::Ready(Ok(Progress::Over));
        }
        let room = shared.room();
        if room == 0 {
            return self.0.wait(shared, cx);
        }
        drop(shared);
        let taken = items.take(room)?;
        let mut shared = self.0.lock();
        shared.items.extend(taken);
        self.0.wake(shared);
        Poll::Ready(Ok(Progress::Open))
    }
}

impl<T: Lower + Send + 'static> StreamProducer for Writes<T> {
    type Item = T;

    fn poll_produce(
        &mut self,
        cx: &mut Context<'_>,
        window: &mut Window<'_, T>,
    ) -> Poll<Result<Progress>> {
        let mut shared = self.0.lock();
        if shared.items.is_empty() && !shared.is_over {
            return self.0.wait(shared, cx);
        }
        let count = shared.items.len().min(window.remaining());
        let taken: Vec<T> = shared.items.drain(..count).collect();
        let is_over = shared.is_over && shared.items.is_empty();
        self.0.wake(shared);
        // There is room for so many.
        window.fill(&mut taken.into_iter());
        Poll::Ready(Ok(match is_over {
            true => Progress::Over,
            false => Progress::Open,
        }))
    }
}
