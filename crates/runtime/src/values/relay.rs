//! Bounded queues of elements: between a stream of one instance and one of another
//! ([`StreamReader::relay`]), and between a stream and the host's own code, which reads or writes
//! one element after the other ([`StreamItems`], [`StreamWriter`]).
//!
//! A consumer or producer is the one end, on the side of the stream. Elements that a guest gives
//! are kept with what they take of the host: whatever their sizes, a queue that has more than its
//! share takes no more.

use crate::concurrent::parties::Progress;
use crate::machine::reactor::wake_quietly;
use crate::values::producers::{Items, StreamConsumer, StreamProducer, Window};
#[cfg(doc)]
use crate::values::streams::StreamReader;
use crate::values::typed::{Lift, Lower};
use anyhow::{Result, bail};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// About how many bytes of elements are kept between the two ends, and beyond that what one poll of
/// a guest's stream gives.
pub(crate) const MOST_BYTES: usize = 64 << 10;

/// What has become of an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// Both are there.
    Open,
    /// A guest has closed its stream.
    Closed,
    /// One has gone.
    Gone,
}

/// Elements that came together.
struct Part {
    /// Those that are still there.
    count: usize,
    /// What they took of the host, when they were all there.
    bytes: usize,
}

struct Shared<T> {
    items: VecDeque<T>,
    /// Of the items, in order.
    parts: VecDeque<Part>,
    /// Of all parts.
    bytes: usize,
    fate: Fate,
    /// What waits for the other end.
    waker: Option<Waker>,
}

impl<T> Shared<T> {
    /// How many elements may be added.
    fn room(&self) -> usize {
        MOST_BYTES
            .saturating_sub(self.bytes)
            .div_ceil(size_of::<T>().max(1))
    }

    /// Adds elements that take so many bytes besides their own.
    fn add(&mut self, items: impl IntoIterator<Item = T>, more_bytes: usize) {
        let before = self.items.len();
        self.items.extend(items);
        let count = self.items.len() - before;
        if count > 0 {
            let own = count.saturating_mul(size_of::<T>().max(1));
            let bytes = own.saturating_add(more_bytes);
            self.bytes = self.bytes.saturating_add(bytes);
            self.parts.push_back(Part { count, bytes });
        }
    }

    /// Takes the first ones.
    fn take(&mut self, count: usize) -> Vec<T> {
        let taken: Vec<T> = self.items.drain(..count.min(self.items.len())).collect();
        let mut left = taken.len();
        while left > 0
            && let Some(part) = self.parts.front_mut()
        {
            let now = left.min(part.count);
            part.count -= now;
            left -= now;
            if part.count == 0 {
                self.bytes -= part.bytes;
                self.parts.pop_front();
            }
        }
        taken
    }
}

/// One end of the queue.
struct End<T>(Arc<Mutex<Shared<T>>>);

impl<T> End<T> {
    fn lock(&self) -> MutexGuard<'_, Shared<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the other end. The waker was cloned before the lock was taken: what wakers do is
    /// not to happen under it.
    fn wait<R>(mut shared: MutexGuard<'_, Shared<T>>, waker: Waker) -> Poll<R> {
        let before = shared.waker.replace(waker);
        drop(shared);
        drop(before);
        Poll::Pending
    }

    /// Something has changed for the other end.
    fn wake(&self, mut shared: MutexGuard<'_, Shared<T>>) {
        let waker = shared.waker.take();
        drop(shared);
        wake_quietly(waker);
    }

    fn end(&self, fate: Fate) {
        let mut shared = self.lock();
        if shared.fate == Fate::Open {
            shared.fate = fate;
        }
        self.wake(shared);
    }
}

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        self.end(Fate::Gone);
    }
}

/// Reads a stream into a queue.
pub(crate) struct Reads<T>(End<T>);

/// Writes a stream from a queue.
pub(crate) struct Writes<T>(End<T>);

fn ends<T>() -> (End<T>, End<T>) {
    let shared = Arc::new(Mutex::new(Shared {
        items: VecDeque::new(),
        parts: VecDeque::new(),
        bytes: 0,
        fate: Fate::Open,
        waker: None,
    }));
    (End(shared.clone()), End(shared))
}

/// A queue from one stream to another one.
pub(crate) fn relay<T>() -> (Reads<T>, Writes<T>) {
    let (reads, writes) = ends();
    (Reads(reads), Writes(writes))
}

/// A queue from a stream to the host.
pub(crate) fn items<T>() -> (Reads<T>, StreamItems<T>) {
    let (reads, items) = ends();
    (Reads(reads), StreamItems { end: items })
}

/// A queue from the host to a stream.
pub(crate) fn writer<T>() -> (StreamWriter<T>, Writes<T>) {
    let (writer, writes) = ends();
    (StreamWriter { end: writer }, Writes(writes))
}

impl<T: Lift + Send> StreamConsumer for Reads<T> {
    type Item = T;

    fn poll_consume(
        &mut self,
        cx: &mut Context<'_>,
        items: &mut Items<'_, T>,
    ) -> Poll<Result<Progress>> {
        let waker = cx.waker().clone();
        let shared = self.0.lock();
        if shared.fate != Fate::Open {
            return Poll::Ready(Ok(Progress::Over));
        }
        let room = shared.room();
        if room == 0 {
            return End::wait(shared, waker);
        }
        drop(shared);
        let taken = items.take(room)?;
        let bytes = usize::try_from(items.taken_bytes()).unwrap_or(usize::MAX);
        let mut shared = self.0.lock();
        shared.add(taken, bytes);
        self.0.wake(shared);
        Poll::Ready(Ok(Progress::Open))
    }

    fn closed(&mut self) {
        self.0.end(Fate::Closed);
    }
}

impl<T: Lower + Send + 'static> StreamProducer for Writes<T> {
    type Item = T;

    fn poll_produce(
        &mut self,
        cx: &mut Context<'_>,
        window: &mut Window<'_, T>,
    ) -> Poll<Result<Progress>> {
        let waker = cx.waker().clone();
        let mut shared = self.0.lock();
        if shared.items.is_empty() && shared.fate == Fate::Open {
            return End::wait(shared, waker);
        }
        let taken = shared.take(window.remaining());
        let is_over = shared.fate != Fate::Open && shared.items.is_empty();
        self.0.wake(shared);
        // There is room for so many.
        window.fill(&mut taken.into_iter());
        Poll::Ready(Ok(match is_over {
            true => Progress::Over,
            false => Progress::Open,
        }))
    }
}

/// The elements of a stream, one after the other, as the host asks for them
/// ([`StreamReader::items`]). At most about 64 KiB are kept, and what one write of the guest's
/// gives beyond that; then the guest waits.
///
/// If it is dropped, the stream is closed.
///
/// ```
/// use trampette_runtime::{Store, StreamReader};
///
/// async fn print(store: &mut Store<()>, lines: StreamReader<String>) -> anyhow::Result<()> {
///     let mut lines = lines.items(&mut *store)?;
///     store
///         .run_concurrent(async |_| {
///             while let Some(line) = lines.next().await? {
///                 println!("{line}");
///             }
///             anyhow::Ok(())
///         })
///         .await?
/// }
/// ```
pub struct StreamItems<T> {
    end: End<T>,
}

impl<T> StreamItems<T> {
    /// The next element, or `None` when the stream was closed and has no more. It goes on while its
    /// store is driven.
    ///
    /// # Errors
    /// If the stream ended otherwise, behind what it gave: by a trap, or with its store.
    pub async fn next(&mut self) -> Result<Option<T>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`StreamItems::next`] as a poll, for combinators and streams of other libraries.
    ///
    /// # Errors
    /// As there.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<T>>> {
        let waker = cx.waker().clone();
        let mut shared = self.end.lock();
        if let Some(item) = shared.take(1).pop() {
            self.end.wake(shared);
            return Poll::Ready(Ok(Some(item)));
        }
        Poll::Ready(match shared.fate {
            Fate::Open => return End::wait(shared, waker),
            Fate::Closed => Ok(None),
            Fate::Gone => (|| bail!("what was to be read was lost with who writes it"))(),
        })
    }
}

/// Writes a stream of the host's, one element after the other ([`StreamReader::channel`]). At most
/// about 64 KiB are kept until the guest reads them.
///
/// If it is dropped, the stream ends behind what was written.
///
/// ```
/// use trampette_runtime::{Store, StreamReader, StreamWriter};
///
/// # fn give(_: StreamReader<u32>) {}
/// async fn count(store: &mut Store<()>) -> anyhow::Result<()> {
///     let (mut numbers, reader): (StreamWriter<u32>, _) = StreamReader::channel(&mut *store)?;
///     // … give the reader to a guest, and then, while the store is driven:
///     # give(reader);
///     for number in 0..10 {
///         if numbers.write(number).await.is_err() {
///             break; // Nobody reads any more.
///         }
///     }
///     Ok(())
/// }
/// ```
pub struct StreamWriter<T> {
    end: End<T>,
}

impl<T> StreamWriter<T> {
    /// Writes an element as soon as there is room for it. It goes on while the store is driven that
    /// the stream belongs to, on any thread.
    ///
    /// # Errors
    /// The element, if nobody reads any more.
    pub async fn write(&mut self, item: T) -> Result<(), T> {
        let mut item = Some(item);
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut shared = self.end.lock();
            if shared.fate != Fate::Open {
                drop(shared);
                return Poll::Ready(item.take().map_or(Ok(()), Err));
            }
            if shared.room() == 0 {
                return End::wait(shared, waker);
            }
            shared.add(item.take(), 0);
            self.end.wake(shared);
            Poll::Ready(Ok(()))
        })
        .await
    }
}

macro_rules! shown {
    ($($name:ident)*) => {$(
        impl<T> std::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let fate = self.end.lock().fate;
                f.debug_tuple(stringify!($name)).field(&fate).finish()
            }
        }
    )*};
}

shown! { StreamItems StreamWriter }
