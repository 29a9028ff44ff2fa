//! What a host waits for that reads a stream or future to its end: [`Collected`], [`Received`].

use crate::concurrent::parties::Progress;
use crate::machine::reactor::wake_quietly;
use crate::values::producers::{Items, StreamConsumer};
use crate::values::typed::Lift;
use anyhow::{Result, anyhow, ensure};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use trampette_artifact::text::Bytes;

/// What the reading end has taken, for whoever waits for it.
struct State<T> {
    items: Vec<T>,
    end: Option<End>,
    waker: Option<Waker>,
}

/// How reading has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The guest has closed its end, or the future is resolved.
    Closed,
    /// There was nobody left to write.
    Lost,
}

impl<T> State<T> {
    fn take_ready(&mut self) -> Option<Result<Vec<T>>> {
        Some(match self.end? {
            End::Closed => Ok(std::mem::take(&mut self.items)),
            End::Lost => Err(anyhow!("what was to be read was lost with who writes it")),
        })
    }
}

type Shared<T> = Arc<Mutex<State<T>>>;

fn lock<T>(shared: &Shared<T>) -> MutexGuard<'_, State<T>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes all that a stream gives, or one element.
pub(crate) struct Collector<T> {
    shared: Shared<T>,
    /// Elements that are wanted.
    most: usize,
    bytes: u64,
    most_bytes: u64,
}

impl<T> Collector<T> {
    /// A collector of at most so many elements, and bytes; what waits for them.
    pub(crate) fn new(most: usize, most_bytes: u64) -> (Collector<T>, Collected<T>) {
        let shared = Arc::new(Mutex::new(State {
            items: Vec::new(),
            end: None,
            waker: None,
        }));
        let collector = Collector {
            shared: shared.clone(),
            most,
            bytes: 0,
            most_bytes,
        };
        (collector, Collected { shared })
    }

    fn end(&self, end: End) {
        let mut state = lock(&self.shared);
        state.end.get_or_insert(end);
        let waker = state.waker.take();
        drop(state);
        wake_quietly(waker);
    }
}

impl<T> Drop for Collector<T> {
    fn drop(&mut self) {
        self.end(End::Lost);
    }
}

impl<T: Lift + Send> StreamConsumer for Collector<T> {
    type Item = T;

    fn poll_consume(
        &mut self,
        _: &mut Context<'_>,
        items: &mut Items<'_, T>,
    ) -> Poll<Result<Progress>> {
        let taken = items.take(self.most)?;
        self.most -= taken.len();
        self.bytes += items.taken_bytes();
        ensure_within(self.bytes, self.most_bytes)?;
        lock(&self.shared).items.extend(taken);
        Poll::Ready(Ok(match self.most {
            0 => {
                self.end(End::Closed);
                Progress::Over
            }
            _ => Progress::Open,
        }))
    }

    fn closed(&mut self) {
        self.end(End::Closed);
    }
}

fn ensure_within(bytes: u64, most: u64) -> Result<()> {
    ensure!(bytes <= most, "a stream gives more than {}", Bytes(most));
    Ok(())
}

/// All elements of a stream, when it has ended: a future that goes on while calls drive the store.
///
/// ```
/// # use trampette_runtime::{Collected, Store, StreamReader};
/// # fn read(store: &mut Store<()>, lines: StreamReader<String>) -> anyhow::Result<()> {
/// let mut all: Collected<String> = lines.collect(&mut *store)?;
/// // … calls …
/// match all.take_ready() {
///     Some(lines) => println!("{}", lines?.join("\n")),
///     None => println!("{} lines so far", all.len()),
/// }
/// # Ok(()) }
/// ```
#[must_use = "it is only there to be waited for"]
pub struct Collected<T> {
    shared: Shared<T>,
}

impl<T> Collected<T> {
    /// What the stream has given, once it has ended.
    ///
    /// # Errors
    /// If it ended otherwise than by being closed: by a trap, or with its store.
    pub fn take_ready(&mut self) -> Option<Result<Vec<T>>> {
        lock(&self.shared).take_ready()
    }

    /// How many elements have been taken so far.
    pub fn len(&self) -> usize {
        lock(&self.shared).items.len()
    }

    /// Whether none have been taken so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Future for Collected<T> {
    type Output = Result<Vec<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Neither cloning a waker nor dropping one is to happen under the lock.
        let waker = cx.waker().clone();
        let mut state = lock(&self.shared);
        if let Some(ready) = state.take_ready() {
            return Poll::Ready(ready);
        }
        let before = state.waker.replace(waker);
        drop(state);
        drop(before);
        Poll::Pending
    }
}

/// The value of a component's future, when it has one: a Rust future that goes on while calls drive
/// the store.
///
/// ```
/// # use trampette_runtime::{FutureReader, Received, Store};
/// # fn read(store: &mut Store<()>, future: FutureReader<String>) -> anyhow::Result<()> {
/// let mut value: Received<String> = future.read(&mut *store)?;
/// // … calls …
/// if let Some(value) = value.take_ready() {
///     println!("{}", value?);
/// }
/// # Ok(()) }
/// ```
#[must_use = "it is only there to be waited for"]
pub struct Received<T> {
    collected: Collected<T>,
}

impl<T> Received<T> {
    pub(crate) fn new(collected: Collected<T>) -> Received<T> {
        Received { collected }
    }

    /// The value, once it is there.
    ///
    /// # Errors
    /// If who was to write it has gone.
    pub fn take_ready(&mut self) -> Option<Result<T>> {
        self.collected.take_ready().map(first)
    }
}

fn first<T>(items: Result<Vec<T>>) -> Result<T> {
    let first = items?.pop();
    first.ok_or_else(|| anyhow!("the future was closed without a value, or has been taken"))
}

impl<T> Future for Received<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.collected).poll(cx).map(first)
    }
}
