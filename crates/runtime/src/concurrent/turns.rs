//! Turns: what whoever drives a store does again and again while there is something to do.
//!
//! All do the same first ([`begin`]): calls whose futures were dropped are cancelled, who waits for
//! calls to be possible is told, what of the host's was woken is polled, and the ends that it has
//! are served. Then tasks go on: a call on a
//! thread prefers those of its own instance, a future takes those of all instances in turn.

use crate::concurrent::driven::{Answer, Driven, Ending};
use crate::concurrent::driver::tell_entrances;
use crate::concurrent::event_loop::{enter, trap};
use crate::concurrent::host_calls::poll_next;
use crate::concurrent::host_ends::HostEnds;
use crate::concurrent::records::{CallId, TaskState};
use crate::concurrent::scheduler::Resumer;
use crate::concurrent::state::{Fault, Tasks};
use crate::machine::activation::Activation;
use crate::machine::instance::InstanceData;
use crate::machine::interrupt::Interrupts;
use crate::machine::store::{CallName, StoreInner};
use anyhow::{Error, Result};
use std::cell::RefCell;
use trampette_artifact::trap::TrapCode;

/// Tasks that go on at most before what of the host's was woken meanwhile is polled.
pub(crate) const ITEMS_OF_A_TURN: usize = 128;

/// Who drives a store.
#[derive(Clone, Copy)]
pub(crate) enum Driving<'a> {
    /// A call of an instance, on this thread: it ends with any trap of that.
    Call(&'a InstanceData),
    /// A future: it ends with a trap that no call waits for.
    Future,
}

impl Driving<'_> {
    /// Whether tasks of an instance go on. A call that has nothing to do waits for what of the
    /// host's awaits another instance, and leaves alone what nobody waits for.
    fn includes(self, tasks: Tasks<'_>) -> bool {
        match self {
            Driving::Call(own) => std::ptr::eq(own, tasks.instance) || is_awaited(tasks),
            Driving::Future => true,
        }
    }

    /// An item of an instance has trapped: tells the call that has waited longest.
    ///
    /// # Errors
    /// The reason, if it is that of whoever drives.
    fn failed(self, tasks: Tasks<'_>, error: Error) -> Result<()> {
        match self {
            Driving::Call(own) if std::ptr::eq(own, tasks.instance) => Err(error),
            // If nobody waits for the other instance, its next call finds it ended.
            Driving::Call(_) => {
                let _ = tell_ended(tasks, Some(error));
                Ok(())
            }
            Driving::Future => tell_ended(tasks, Some(error)),
        }
    }
}

/// Begins a turn; how much there was to do.
///
/// # Errors
/// As of [`others`].
pub(crate) fn begin(store: &StoreInner, driving: Driving<'_>) -> Result<usize> {
    store.reactor.begin_turn();
    let cancelled = see_to_dropped(store, driving)?;
    let told = tell_entrances(store);
    let polled = poll_woken(store);
    Ok(cancelled + told + polled + serve_ends(store, driving)?)
}

/// Whether futures wait for calls of an instance.
fn is_awaited(tasks: Tasks<'_>) -> bool {
    tasks.driven.are_awaited()
}

/// Closes the ends whose names were dropped; and, if no guest's code is on the stack, those that
/// were on their way between a guest and the host, and have not arrived.
pub(crate) fn close_ends(store: &StoreInner) {
    if let Some(ends) = HostEnds::find(store) {
        ends.close_dropped(store);
        if Activation::current().is_null() {
            ends.close_unnamed(store);
        }
    }
}

/// Whether calls of a store are to be stopped, so that nothing more begins.
fn is_stopped(store: &StoreInner) -> bool {
    let interrupts = store.interrupts();
    interrupts.and_then(Interrupts::stop_code).is_some()
}

/// Polls what of the host's was woken before now. How much there was.
fn poll_woken(store: &StoreInner) -> usize {
    let woken = store.reactor.woken();
    for _ in 0..woken {
        if let Err(panic) = poll_next(store) {
            std::panic::resume_unwind(panic);
        }
    }
    woken
}

/// Lets what the host has of streams and futures go on. How much there was.
fn serve_ends(store: &StoreInner, driving: Driving<'_>) -> Result<usize> {
    close_ends(store);
    let Some(ends) = HostEnds::find(store) else {
        return Ok(0);
    };
    let mut worked = 0;
    // One at a time: those that are left when one fails go on in the next turn.
    for _ in 0..ends.woken() {
        if is_stopped(store) {
            break;
        }
        let Some((instance, end)) = ends.pop_woken() else {
            break;
        };
        // SAFETY: instances live as long as their store.
        let instance = unsafe { instance.as_ref() };
        let tasks = Tasks::of(instance).map_err(trap)?;
        if tasks.is_over() {
            continue;
        }
        if instance.is_entered() {
            // A call further out is in it.
            ends.note_woken(instance.into(), end);
            continue;
        }
        worked += 1;
        run(tasks, driving, || {
            // The party sees a guest's buffer. What it calls is not to be that guest.
            let _locked = Locked::new(instance);
            tasks.serve(end)
        })?;
    }
    Ok(worked)
}

/// Keeps everybody from entering an instance, which is not running, as long as this lives.
struct Locked<'a>(&'a InstanceData);

impl<'a> Locked<'a> {
    fn new(instance: &'a InstanceData) -> Locked<'a> {
        instance.lock();
        Locked(instance)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.0.unlock();
    }
}

/// Instances that have done what they can in a turn. Those that are left here, since another one
/// panicked, have their turn next time.
#[derive(Default)]
struct Resting<'a>(RefCell<Vec<Tasks<'a>>>);

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        for tasks in self.0.get_mut().drain(..) {
            tasks.note_work(tasks.instance);
        }
    }
}

/// Lets tasks of instances go on, one of each at a time, if fewer than a turn's were done. How
/// many have.
///
/// # Errors
/// A trap that is whoever's who drives.
pub(crate) fn others(store: &StoreInner, driving: Driving<'_>, done: usize) -> Result<usize> {
    let mut did = 0;
    let resting = Resting::default();
    let mut failed = Ok(());
    while failed.is_ok() && done + did < ITEMS_OF_A_TURN && !is_stopped(store) {
        let next = store.working.borrow_mut().pop_front();
        let Some(next) = next else { break };
        // SAFETY: instances live as long as their store.
        let instance = unsafe { next.as_ref() };
        let Ok(tasks) = Tasks::of(instance) else {
            continue;
        };
        tasks.is_working.set(false);
        if tasks.is_over() {
            did += 1;
            let _ = tell_ended(tasks, None);
            continue;
        }
        if instance.is_entered() || !driving.includes(tasks) {
            // A call further out is in it, or nobody waits.
            resting.0.borrow_mut().push(tasks);
            continue;
        }
        let Some(call) = tasks.next() else {
            resting.0.borrow_mut().push(tasks);
            continue;
        };
        did += 1;
        tasks.note_work(instance);
        failed = run(tasks, driving, || tasks.run(call, Resumer::Loop));
    }
    for tasks in resting.0.take() {
        if tasks.instance.is_entered() || !driving.includes(tasks) {
            tasks.note_work(tasks.instance);
        } else if tasks.end_turn() {
            did += 1;
        }
    }
    failed.map(|()| did)
}

/// Runs one item.
///
/// # Errors
/// Its trap, if that is whoever's who drives.
pub(crate) fn run(
    tasks: Tasks<'_>,
    driving: Driving<'_>,
    item: impl FnOnce() -> Result<(), Fault>,
) -> Result<()> {
    enter(tasks, item).or_else(|error| {
        // An item that was stopped before it began has ended nothing, but is in no queue.
        tasks.instance.end();
        driving.failed(tasks, error)
    })
}

/// Tells the calls that a trap has ended: the first of those that somebody waits for why, if that
/// is known.
///
/// # Errors
/// The reason, if nobody waits for any.
fn tell_ended(tasks: Tasks<'_>, mut why: Option<Error>) -> Result<()> {
    tell_all(tasks, || {
        why.take().unwrap_or_else(|| trap(TrapCode::CannotEnter))
    });
    why.map_or(Ok(()), Err)
}

/// Tells each call of an instance that has ended, and that somebody waits for, why it has.
fn tell_all(tasks: Tasks<'_>, mut why: impl FnMut() -> Error) {
    let ended = std::mem::take(&mut *tasks.ended.borrow_mut());
    for Driven { answer, .. } in ended {
        if let Answer::Future(asked) = answer
            && asked.is_awaited()
        {
            asked.end(Ending::Failed(why()));
        }
    }
}

/// Ends all instances with calls that futures wait for, since the driven call is to be stopped.
pub(crate) fn stop_all(store: &StoreInner, code: TrapCode) {
    let mut with_calls = Vec::new();
    let _ = store.each_instance(|instance| {
        if instance.async_part.get().is_some() {
            with_calls.push(std::ptr::from_ref(instance));
        }
        std::ops::ControlFlow::Continue(())
    });
    for instance in with_calls {
        // SAFETY: instances live as long as their store.
        let instance = unsafe { &*instance };
        let Ok(tasks) = Tasks::of(instance) else {
            continue;
        };
        if instance.is_entered() || !is_awaited(tasks) {
            continue;
        }
        instance.end();
        tell_all(tasks, || trap(code));
    }
}

/// Cancels the calls whose futures were dropped. How many there were.
fn see_to_dropped(store: &StoreInner, driving: Driving<'_>) -> Result<usize> {
    /// Those that are left when one fails are seen to in the next turn.
    struct Left<'s>(&'s StoreInner, std::vec::IntoIter<CallName>);

    impl Drop for Left<'_> {
        fn drop(&mut self) {
            for name in self.1.by_ref() {
                self.0.dropped_calls.note(name);
            }
        }
    }

    let mut left = Left(store, store.dropped_calls.take().into_iter());
    let mut count = 0;
    while !left.1.as_slice().is_empty()
        && !is_stopped(store)
        && let Some(name) = left.1.next()
    {
        count += usize::from(cancel(store, name, driving)?);
    }
    Ok(count)
}

/// The record of a call that a future waits for, or waited for, if it is not over.
pub(crate) fn find(store: &StoreInner, name: CallName) -> Option<(Tasks<'_>, CallId)> {
    let tasks = Tasks::of(store.instance(name.instance)).ok()?;
    let call = CallId::from_number(name.record)?;
    // Who has left the record of a call has taken it out of those without a result before.
    let record = &tasks.pool()[call];
    let is_it = record.generation == name.generation && record.driven.get().is_some();
    (is_it && !tasks.is_over()).then_some((tasks, call))
}

/// Cancels a call that was [noted](crate::machine::store::DroppedCalls): one that has not begun
/// never will, any other one is asked to. Whether there was anything to do.
fn cancel(store: &StoreInner, name: CallName, driving: Driving<'_>) -> Result<bool> {
    if cancel_if_it_waits(store, name) {
        return Ok(true);
    }
    let Some((tasks, call)) = find(store, name) else {
        return Ok(false);
    };
    if tasks.pool()[call].state.get() != TaskState::Started {
        return Ok(false);
    }
    if tasks.instance.is_entered() {
        // A call further out; later.
        store.dropped_calls.note(name);
        return Ok(false);
    }
    run(tasks, driving, || tasks.request_cancellation(call)).map(|()| true)
}

/// Cancels a call that nobody waits for any more, or is asked to, if it has not begun; whether it
/// had not. Nothing of a guest's runs by it.
pub(crate) fn cancel_if_it_waits(store: &StoreInner, name: CallName) -> bool {
    let Some((tasks, call)) = find(store, name) else {
        return false;
    };
    let waits = tasks.pool()[call].state.get() == TaskState::Initial;
    if waits {
        let driven = tasks.take_driven(call);
        if let Some(Driven {
            answer: Answer::Future(asked),
            ..
        }) = driven
        {
            asked.end(Ending::NotStarted);
        }
        tasks.abandon(call);
    }
    waits
}
