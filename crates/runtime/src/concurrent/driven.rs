//! Calls of the host's that have no result yet: who takes it. A record of such a call names its
//! place here, so that finding, adding and taking one cost the same however many there are.

use crate::concurrent::records::CallId;
use crate::machine::store::StoreInner;
use std::cell::RefCell;
use std::num::NonZeroU32;
use std::ptr::NonNull;

/// What takes the result of a task that the host called: the address of its native form.
pub(crate) type Sink = dyn FnMut(*const u8) -> anyhow::Result<()>;

/// A call of the host's that has no result yet.
pub(crate) struct Driven {
    pub call: CallId,
    /// How many were begun before it.
    pub age: u64,
    pub answer: Answer,
}

/// Who takes the result of a call of the host's.
pub(crate) enum Answer {
    /// A call that waits on this thread. Valid until the call is not driven any more.
    Sink(NonNull<Sink>),
    /// A future of the embedder's.
    Future(Box<dyn Asked>),
}

impl Answer {
    /// Whether it is a future.
    pub(crate) fn is_future(&self) -> bool {
        matches!(self, Answer::Future(_))
    }
}

/// What a call of the host's has that a future waits for. Nothing of it enters a guest.
pub(crate) trait Asked {
    /// Takes the result: the address of its native form.
    ///
    /// # Errors
    /// If it cannot be lifted.
    fn take(&mut self, store: &StoreInner, native: *const u8) -> anyhow::Result<()>;

    /// Whether anybody still waits for the result.
    fn is_awaited(&self) -> bool;

    /// The call is over.
    fn end(self: Box<Self>, ending: Ending);
}

/// How a call of the host's has ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Its result was taken.
    Returned,
    /// It was cancelled before it began.
    NotStarted,
    /// It was cancelled, and has no result.
    Cancelled,
    /// It failed, whether or not a result was taken.
    Failed(anyhow::Error),
}

/// Where [`DrivenCalls`] has a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DrivenId(NonZeroU32);

impl DrivenId {
    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// All such calls of an instance.
#[derive(Default)]
pub(crate) struct DrivenCalls(RefCell<Places>);

#[derive(Default)]
struct Places {
    calls: Vec<Option<Driven>>,
    free: Vec<DrivenId>,
}

impl DrivenCalls {
    /// Adds a call; where it is.
    #[inline]
    pub(crate) fn add(&self, driven: Driven) -> DrivenId {
        let mut places = self.0.borrow_mut();
        if let Some(id) = places.free.pop() {
            places.calls[id.index()] = Some(driven);
            return id;
        }
        places.calls.push(Some(driven));
        // Calls are limited, to fewer.
        DrivenId(NonZeroU32::MIN.saturating_add(places.calls.len() as u32 - 1))
    }

    /// Takes a call out; `None` if [that was done](DrivenCalls::take_futures) before.
    #[inline]
    pub(crate) fn take(&self, id: DrivenId) -> Option<Driven> {
        let mut places = self.0.borrow_mut();
        let driven = places.calls[id.index()].take();
        if driven.is_some() {
            places.free.push(id);
        }
        driven
    }

    /// What takes the result of a call that waits on this thread, which is there.
    #[inline]
    pub(crate) fn sink(&self, id: DrivenId) -> Option<NonNull<Sink>> {
        match self.0.borrow().calls[id.index()].as_ref()?.answer {
            Answer::Sink(sink) => Some(sink),
            Answer::Future(_) => None,
        }
    }

    /// Whether a future waits for a call, which is there.
    pub(crate) fn is_awaited(&self, id: DrivenId) -> bool {
        let places = self.0.borrow();
        let driven = &places.calls[id.index()];
        driven.as_ref().is_some_and(|it| it.answer.is_future())
    }

    /// Whether futures wait for any of them.
    pub(crate) fn are_awaited(&self) -> bool {
        let places = self.0.borrow();
        let mut calls = places.calls.iter().flatten();
        calls.any(|driven| driven.answer.is_future())
    }

    /// Takes all out that futures wait for, the one that was begun first first. Their places are
    /// not used again: nothing of the instance runs any more.
    pub(crate) fn take_futures(&self) -> Vec<Driven> {
        let mut places = self.0.borrow_mut();
        let calls = places.calls.iter_mut();
        let futures = calls.filter_map(|it| it.take_if(|it| it.answer.is_future()));
        let mut futures: Vec<Driven> = futures.collect();
        drop(places);
        futures.sort_by_key(|driven| driven.age);
        futures
    }
}
