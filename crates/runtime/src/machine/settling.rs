//! [`Accessor::settled`]: futures of the embedder that wait until a store has nothing more to do by
//! itself.
//!
//! Whoever drives a store tells them, before it would wait.

use crate::machine::accessor::Accessor;
use crate::machine::reactor::wake_quietly;
use anyhow::Result;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

/// Who waits for that in a store.
#[derive(Default)]
pub(crate) struct Settling {
    waiting: RefCell<Vec<Waker>>,
    /// How often they were told.
    told: Cell<u64>,
}

impl Settling {
    /// Tells them that there is nothing to do; whether there was anybody. `own` belongs to what the
    /// driver polls next anyhow.
    pub(crate) fn tell(&self, own: Option<&Waker>) -> bool {
        let waiting = self.waiting.take();
        if waiting.is_empty() {
            return false;
        }
        self.told.set(self.told.get() + 1);
        for waker in waiting {
            if !own.is_some_and(|own| own.will_wake(&waker)) {
                wake_quietly(Some(waker));
            }
        }
        true
    }

    /// Ready if they were told since `asked`; otherwise they will be.
    fn poll(&self, asked: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<()> {
        let told = self.told.get();
        if *asked.get_or_insert(told) != told {
            return Poll::Ready(());
        }
        let waker = cx.waker();
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        Poll::Pending
    }
}

impl<T: 'static> Accessor<T> {
    /// Waits until nothing in the store can go on by itself any more: its tasks are over, or wait
    /// for something of the host's or for each other. Then the next thing happens from outside.
    ///
    /// A guest that has answered, for example, has done by then what it does at once after that.
    /// One that never waits keeps this from being ready.
    ///
    /// ```
    /// use trampette_runtime::{Accessor, TypedFunc};
    ///
    /// async fn ask(cx: Accessor<()>, answer: TypedFunc<(), u32>) -> anyhow::Result<u32> {
    ///     let value = answer.call_concurrent(cx, ()).await?;
    ///     cx.settled().await?;
    ///     Ok(value)
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Accessor::with`].
    pub fn settled(self) -> impl Future<Output = Result<()>> + use<T> {
        let mut asked = None;
        poll_fn(move |cx| {
            let polled = self.enter(|store| store.settling.poll(&mut asked, cx));
            match polled {
                Ok(polled) => polled.map(Ok),
                Err(error) => Poll::Ready(Err(error)),
            }
        })
    }
}
