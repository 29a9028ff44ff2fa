//! Driving a store from a future: calls of the host's that are begun now and end whenever the store
//! is driven, and the turns in which all that can go on does.
//!
//! Nothing here depends on how the embedder runs its futures. What goes on belongs to the store: a
//! future that waits for a call only has the call's name and a place for its result, and may be
//! moved, forgotten or dropped at any time. A drop never enters a guest; that a call is to be
//! cancelled is noted, and seen to when the store is driven next.

use crate::concurrent::event_loop::{ITEMS_OF_A_TURN, enter, poll_woken, serve_ends, trap};
use crate::concurrent::records::{CallId, TaskState};
use crate::concurrent::state::{Answer, Asked, Driven, Fault, Tasks};
use crate::machine::accessor::Token;
use crate::machine::activation::Activation;
use crate::machine::instance::InstanceData;
use crate::machine::interrupt;
use crate::machine::reactor::WakeList;
use crate::machine::store::{CallName, DroppedCalls, StoreInner};
use anyhow::{Error, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use trampette_artifact::ids::TaskId;
use trampette_artifact::trap::TrapCode;

/// Makes an owned value of a native result.
pub(crate) type Take<O> = Box<dyn FnMut(&StoreInner, *const u8) -> Result<O>>;

/// The parameters of a call: their native struct, and what owns all of it.
pub(crate) struct Arguments {
    pub native: *const u8,
    pub owner: Box<dyn Any>,
}

/// A call that a future waits for.
pub(crate) struct Pending<O> {
    name: CallName,
    place: Arc<Place<O>>,
    dropped: Arc<DroppedCalls>,
    wakes: Arc<WakeList>,
    /// Whether the future has had the result, or does not want it.
    is_over: bool,
}

/// Where a call leaves its result.
struct Place<O> {
    state: Mutex<PlaceState<O>>,
}

struct PlaceState<O> {
    result: Option<Result<O>>,
    /// Whether the call is over: a result alone may still be replaced by an error.
    is_over: bool,
    waker: Option<Waker>,
}

impl<O> Place<O> {
    fn lock(&self) -> MutexGuard<'_, PlaceState<O>> {
        // Nothing panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store's side of a [`Place`].
struct Question<O> {
    place: Arc<Place<O>>,
    take: Take<O>,
    /// What the parameters are in: the call may begin late.
    _arguments: Box<dyn Any>,
}

impl<O> Asked for Question<O> {
    fn take(&mut self, store: &StoreInner, native: *const u8) -> Result<()> {
        let value = (self.take)(store, native)?;
        self.place.lock().result = Some(Ok(value));
        Ok(())
    }

    fn end(self: Box<Self>, error: Option<Error>) {
        if let Some(error) = error {
            let before = self.place.lock().result.replace(Err(error));
            drop(before);
        }
    }
}

impl<O> Drop for Question<O> {
    fn drop(&mut self) {
        let mut state = self.place.lock();
        state.is_over = true;
        if state.result.is_none() {
            state.result = Some(Err(anyhow::anyhow!("the store was dropped")));
        }
        let waker = state.waker.take();
        drop(state);
        // It may do anything, but this may be in the middle of a guest's call.
        let _ = catch_unwind(AssertUnwindSafe(|| waker.map(Waker::wake)));
    }
}

/// Begins a call of a lifted function of an `async` type, which runs when the store is driven.
///
/// # Safety
/// The task's caller is the host. The arguments are those of its type, and can be sent to another
/// thread, as can what `take` has.
///
/// # Errors
/// If a trap has ended the instance, or there are too many tasks.
pub(crate) unsafe fn begin<O: 'static>(
    instance: &InstanceData,
    number: u32,
    task: TaskId,
    arguments: Arguments,
    take: Take<O>,
) -> Result<Pending<O>> {
    let store = instance.store();
    let tasks = Tasks::of(instance).map_err(trap)?;
    if tasks.is_over() || (instance.is_entered() && !runs(instance)) {
        return Err(trap(TrapCode::CannotEnter));
    }
    let params = arguments.native.expose_provenance() as u64;
    let call = tasks.new_task(task, params, 0);
    let call = call.map_err(|_| trap(TrapCode::TaskLimit))?;
    let place = Arc::new(Place {
        state: Mutex::new(PlaceState {
            result: None,
            is_over: false,
            waker: None,
        }),
    });
    tasks.drive(
        call,
        Answer::Future(Box::new(Question {
            place: place.clone(),
            take,
            _arguments: arguments.owner,
        })),
    );
    tasks.wait_to_enter(call);
    Ok(Pending {
        name: CallName {
            instance: number,
            record: call.number(),
            generation: tasks.pool()[call].generation,
        },
        place,
        dropped: store.dropped_calls.clone(),
        wakes: store.reactor.wake_list().clone(),
        is_over: false,
    })
}

/// Whether this thread is in a call of an instance.
fn runs(instance: &InstanceData) -> bool {
    // SAFETY: activations of this thread are live.
    let mut activation = unsafe { Activation::current().as_ref() };
    while let Some(current) = activation {
        if std::ptr::eq(current.instance(), instance) {
            return true;
        }
        activation = current.outer();
    }
    false
}

impl<O> Pending<O> {
    /// The result, if the call is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<O>> {
        let waker = cx.waker().clone();
        let mut state = self.place.lock();
        if !state.is_over {
            let before = state.waker.replace(waker);
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        self.is_over = true;
        let result = state.result.take();
        drop(state);
        Poll::Ready(result.unwrap_or_else(|| Err(anyhow::anyhow!("the result was taken"))))
    }
}

impl<O> Drop for Pending<O> {
    fn drop(&mut self) {
        if !self.is_over {
            self.dropped.note(self.name);
            self.wakes.tell_driver();
        }
    }
}

/// Drives a store whenever a future is polled. For whoever would stop it, it is one call from the
/// first poll until it is dropped.
#[derive(Default)]
pub(crate) struct Driver {
    call: Option<interrupt::Driven>,
}

/// What a driver does when nothing in its store can go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WhenIdle {
    /// Something outside may change that.
    Waits,
    /// What waits for a call, and nothing but this store, says that it waits for ever.
    Fails,
}

impl Driver {
    /// Lets what can go on, and then polls what the driver is for.
    ///
    /// # Errors
    /// A trap of a task that nobody waits for; that the call was stopped; or that it waits for
    /// ever.
    pub(crate) fn poll<O>(
        &mut self,
        store: &StoreInner,
        cx: &mut Context<'_>,
        idle: WhenIdle,
        mut own: impl FnMut(&mut Context<'_>) -> Poll<O>,
    ) -> Poll<Result<O>> {
        if self.call.is_none() {
            self.call = store
                .shared_if_any()
                .map(interrupt::Interrupts::begin_driven);
        }
        if let Some(call) = &self.call {
            call.go_on();
        }
        let mut items = 0;
        loop {
            if let Poll::Ready(value) = Token::around(store, || own(cx)) {
                return Poll::Ready(Ok(value));
            }
            let did = match turn(store) {
                Ok(did) => did,
                Err(error) => return Poll::Ready(Err(error)),
            };
            items += did;
            if did > 0 && items < ITEMS_OF_A_TURN {
                continue;
            }
            // What the turn has done is perhaps what the driver is for.
            let is_idle = did == 0 && store.reactor.set_driver(cx.waker());
            if let Some(code) = self.call.as_ref().and_then(interrupt::Driven::stop_code) {
                stop_all(store, code);
                return Poll::Ready(Err(trap(code)));
            }
            if !is_idle {
                // Others of the embedder's have their turn.
                cx.waker().wake_by_ref();
            } else if idle == WhenIdle::Fails && store.reactor.waiting() == 0 {
                return Poll::Ready(Err(trap(TrapCode::Deadlock)));
            }
            return Poll::Pending;
        }
    }
}

/// One turn of a store: sees to calls that were dropped, polls what of the host's was woken, and
/// lets tasks of all instances go on, one of each at a time. How much was done.
///
/// # Errors
/// If a task trapped that nobody waits for.
fn turn(store: &StoreInner) -> Result<usize> {
    let mut did = see_to_dropped(store)?;
    did += usize::from(poll_woken(store));
    did += usize::from(serve_ends(store, |error, instance| {
        Tasks::of(instance).map_or(Ok(()), |tasks| tell_ended(tasks, Some(error)))
    })?);
    // Those that have done what they can in this turn.
    let mut resting = Vec::new();
    let mut failed = Ok(());
    while did < ITEMS_OF_A_TURN {
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
        if instance.is_entered() {
            // A call further out.
            resting.push(tasks);
            continue;
        }
        let Some(call) = tasks.next() else {
            resting.push(tasks);
            continue;
        };
        did += 1;
        tasks.note_work(instance);
        failed = run(tasks, || tasks.run(call));
        if failed.is_err() {
            break;
        }
    }
    for tasks in resting {
        if tasks.instance.is_entered() {
            tasks.note_work(tasks.instance);
        } else if tasks.end_turn() {
            did += 1;
        }
    }
    failed.map(|()| did)
}

/// Runs one item. Its trap is for the call that has waited longest.
///
/// # Errors
/// If there is none.
fn run(tasks: Tasks<'_>, item: impl FnOnce() -> Result<(), Fault>) -> Result<()> {
    match enter(tasks, item) {
        Ok(()) => Ok(()),
        Err(error) => {
            // An item that was stopped before it began has ended nothing, but is in no queue.
            tasks.instance.end();
            tell_ended(tasks, Some(error))
        }
    }
}

/// Tells the calls that a trap has ended: the first of them why, if that is known.
///
/// # Errors
/// The reason, if there is none.
fn tell_ended(tasks: Tasks<'_>, mut why: Option<Error>) -> Result<()> {
    let ended = std::mem::take(&mut *tasks.ended.borrow_mut());
    for Driven { answer, .. } in ended {
        let error = why.take().unwrap_or_else(|| trap(TrapCode::CannotEnter));
        if let Answer::Future(asked) = answer {
            asked.end(Some(error));
        }
    }
    why.map_or(Ok(()), Err)
}

/// Ends all instances with calls that futures wait for, since the driven call is to be stopped.
fn stop_all(store: &StoreInner, code: TrapCode) {
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
        let is_meant = |driven: &Driven| matches!(driven.answer, Answer::Future(_));
        if instance.is_entered() || !tasks.driven.borrow().values().any(is_meant) {
            continue;
        }
        instance.end();
        let ended = std::mem::take(&mut *tasks.ended.borrow_mut());
        for Driven { answer, .. } in ended {
            if let Answer::Future(asked) = answer {
                asked.end(Some(trap(code)));
            }
        }
    }
}

/// Cancels the calls whose futures were dropped. How many there were.
fn see_to_dropped(store: &StoreInner) -> Result<usize> {
    let mut count = 0;
    for name in store.dropped_calls.take() {
        count += usize::from(cancel(store, name)?);
    }
    Ok(count)
}

/// Cancels a call whose future was dropped: one that has not begun never will, any other one is
/// asked to. Whether there was anything to do.
fn cancel(store: &StoreInner, name: CallName) -> Result<bool> {
    let instance = store.instance(name.instance);
    let (Ok(tasks), Some(call)) = (Tasks::of(instance), CallId::from_number(name.record)) else {
        return Ok(false);
    };
    let is_it = |driven: &Driven| driven.generation == name.generation;
    if tasks.is_over() || !tasks.driven.borrow().get(&call).is_some_and(is_it) {
        return Ok(false);
    }
    if tasks.pool()[call].state.get() == TaskState::Initial {
        drop(tasks.take_driven(call));
        tasks.abandon(call);
        return Ok(true);
    }
    if tasks.pool()[call].state.get() != TaskState::Started {
        return Ok(false);
    }
    if instance.is_entered() {
        // A call further out; later.
        store.dropped_calls.note(name);
        return Ok(false);
    }
    run(tasks, || tasks.request_cancellation(call)).map(|()| true)
}

/// Cancels a call of a future that is dropped while the store is in reach, if it has not begun:
/// without entering a guest.
pub(crate) fn drop_calls_that_wait(store: &StoreInner) {
    for name in store.dropped_calls.take() {
        let has_begun = (|| {
            let tasks = Tasks::of(store.instance(name.instance)).ok()?;
            let call = CallId::from_number(name.record)?;
            let driven = tasks.driven.borrow();
            let driven = driven.get(&call)?;
            let is_it = driven.generation == name.generation && !tasks.is_over();
            is_it.then(|| tasks.pool()[call].state.get() != TaskState::Initial)
        })();
        match has_begun {
            None => {}
            Some(true) => store.dropped_calls.note(name),
            // It has nothing to enter a guest for.
            Some(false) => drop(cancel(store, name)),
        }
    }
}
