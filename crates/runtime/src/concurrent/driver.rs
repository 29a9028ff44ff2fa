//! Driving a store from a future: calls of the host's that are begun now and end whenever the store
//! is driven, and the turns in which all that can go on does.
//!
//! Nothing here depends on how the embedder runs its futures. What goes on belongs to the store: a
//! future that waits for a call only has the call's name and a place for its result, and may be
//! moved, forgotten or dropped at any time. A drop never enters a guest; that a call is to be
//! cancelled is noted, and seen to when the store is driven next.

use crate::concurrent::driven::{Answer, Asked, Ending};
use crate::concurrent::event_loop::trap;
use crate::concurrent::exits::ExitWatch;
use crate::concurrent::host_ends::HostEnds;
use crate::concurrent::state::Tasks;
use crate::concurrent::turns::{self, Driving, ITEMS_OF_A_TURN, cancel_if_it_waits};
use crate::machine::activation::Activation;
use crate::machine::instance::InstanceData;
use crate::machine::interrupt;
use crate::machine::reactor::{WakeList, wake_quietly};
use crate::machine::store::{CallName, DroppedCalls, StoreInner};
use anyhow::{Context as _, Result, anyhow};
use std::any::Any;
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

/// What came of a call that was to be cancelled.
///
/// ```
/// use trampette_runtime::CallOutcome;
///
/// assert_eq!(CallOutcome::Returned(7).returned()?, 7);
/// assert!(CallOutcome::<u32>::CancelledBeforeStarted.returned().is_err());
/// # anyhow::Ok(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CallOutcome<R> {
    /// It never began: it had waited to enter its instance.
    CancelledBeforeStarted,
    /// The guest has cancelled it, in place of a result.
    CancelledBeforeReturned,
    /// It has returned all the same, or had returned before.
    Returned(R),
}

impl<R> CallOutcome<R> {
    /// The result.
    ///
    /// # Errors
    /// If there is none, since the call was cancelled.
    pub fn returned(self) -> Result<R> {
        match self {
            CallOutcome::Returned(value) => Ok(value),
            CallOutcome::CancelledBeforeStarted | CallOutcome::CancelledBeforeReturned => {
                Err(anyhow!("the call was cancelled"))
            }
        }
    }
}

/// A call that a future waits for.
pub(crate) struct Pending<O> {
    name: CallName,
    place: Arc<Place<O>>,
    dropped: Arc<DroppedCalls>,
    wakes: Arc<WakeList>,
    /// Whether a drop cancels nothing any more: the future has had the result, has asked for
    /// cancellation itself, or lets the call go on.
    is_let_go: bool,
}

/// Where a call leaves its result.
struct Place<O> {
    state: Mutex<PlaceState<O>>,
}

struct PlaceState<O> {
    result: Option<Result<CallOutcome<O>>>,
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
        self.place.lock().result = Some(Ok(CallOutcome::Returned(value)));
        Ok(())
    }

    fn is_awaited(&self) -> bool {
        // The other one is the future's.
        Arc::strong_count(&self.place) > 1
    }

    fn end(self: Box<Self>, ending: Ending) {
        let result = match ending {
            Ending::Returned => return,
            Ending::NotStarted => Ok(CallOutcome::CancelledBeforeStarted),
            Ending::Cancelled => Ok(CallOutcome::CancelledBeforeReturned),
            Ending::Failed(error) => Err(error),
        };
        let before = self.place.lock().result.replace(result);
        drop(before);
    }
}

impl<O> Drop for Question<O> {
    fn drop(&mut self) {
        let mut state = self.place.lock();
        state.is_over = true;
        if state.result.is_none() {
            state.result = Some(Err(anyhow!("the store was dropped")));
        }
        let waker = state.waker.take();
        drop(state);
        wake_quietly(waker);
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
        is_let_go: false,
    })
}

/// Whether a call of the host's could begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    /// It could now.
    Open,
    /// It would have to wait, or would be refused while the instance runs.
    Closed,
    /// A trap has ended the instance.
    Over,
}

/// Whether a call of an instance could begin now: the task that it would be, or one of a type that
/// is not `async`.
///
/// # Errors
/// If the system has no memory for the instance's tasks.
pub(crate) fn entry(instance: &InstanceData, task: Option<TaskId>) -> Result<Entry> {
    if instance.has_ended() {
        return Ok(Entry::Over);
    }
    // While it runs further out, or waits for the host with its stack, a task that is called would
    // begin only after that.
    if instance.is_entered() {
        return Ok(Entry::Closed);
    }
    let waits = match (task, instance.async_part.get()) {
        (Some(task), Some(_)) => Tasks::of(instance).map_err(trap)?.would_wait_to_enter(task),
        // There was no task yet that could be in the way.
        _ => false,
    };
    Ok(match waits {
        true => Entry::Closed,
        false => Entry::Open,
    })
}

/// Tells futures that wait before entrances which are not closed any more. How many.
pub(crate) fn tell_entrances(store: &StoreInner) -> usize {
    store.entrances.tell(|entrance| {
        let instance = store.instance(entrance.instance);
        matches!(entry(instance, entrance.task), Ok(Entry::Closed))
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
    /// The call.
    pub(crate) fn name(&self) -> CallName {
        self.name
    }

    /// What came of the call, if it is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<CallOutcome<O>>> {
        let waker = cx.waker().clone();
        let mut state = self.place.lock();
        if !state.is_over {
            let before = state.waker.replace(waker);
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        self.is_let_go = true;
        let result = state.result.take();
        drop(state);
        Poll::Ready(result.context("the result was taken").flatten())
    }

    /// Has the call cancelled when its store is driven next, and still waits for it.
    pub(crate) fn ask_to_cancel(&mut self) {
        if !std::mem::replace(&mut self.is_let_go, true) {
            self.dropped.note(self.name);
            self.wakes.tell_driver();
        }
    }

    /// Lets the call go on when this is dropped.
    pub(crate) fn forget(&mut self) {
        self.is_let_go = true;
    }

    /// What tells when the call, which has just begun, is over altogether.
    pub(crate) fn watch_exit(&self, store: &StoreInner) -> Result<ExitWatch> {
        let (tasks, call) = turns::find(store, self.name).context("the call is over")?;
        Ok(tasks.watch_exit(call))
    }

    /// Drops what waits for a call while the store is in reach: a call that has not begun is
    /// cancelled at once.
    pub(crate) fn drop_in(mut self, store: &StoreInner) {
        if !self.is_let_go {
            self.is_let_go = cancel_if_it_waits(store, self.name);
        }
    }
}

impl<O> Drop for Pending<O> {
    fn drop(&mut self) {
        self.ask_to_cancel();
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
    Fails(CallName),
}

impl Driver {
    /// Polls what the driver is for, and lets what can go on.
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
            if let Poll::Ready(value) = own(cx) {
                return Poll::Ready(Ok(value));
            }
            let did = match turn(store) {
                Ok(did) => did,
                Err(error) => return Poll::Ready(Err(error)),
            };
            items += did;
            let told = did == 0 && store.settling.tell(Some(cx.waker()));
            items += usize::from(told);
            if (did > 0 || told) && items < ITEMS_OF_A_TURN {
                continue;
            }
            // What the turn has done is perhaps what the driver is for.
            let is_idle = did == 0 && !told && store.reactor.set_driver(cx.waker());
            if let Some(code) = self.call.as_ref().and_then(interrupt::Driven::stop_code) {
                turns::stop_all(store, code);
                return Poll::Ready(Err(trap(code)));
            }
            if !is_idle {
                // Others of the embedder's have their turn.
                cx.waker().wake_by_ref();
            } else if let WhenIdle::Fails(call) = idle
                && !may_be_woken(store)
            {
                return Poll::Ready(Err(match turns::find(store, call) {
                    Some((tasks, call)) => tasks.deadlock(call),
                    None => trap(TrapCode::Deadlock),
                }));
            }
            return Poll::Pending;
        }
    }
}

/// One turn of a store. How much was done.
///
/// # Errors
/// If a task trapped that nobody waits for.
fn turn(store: &StoreInner) -> Result<usize> {
    let begun = turns::begin(store, Driving::Future)?;
    Ok(begun + turns::others(store, Driving::Future, begun)?)
}

/// Whether something outside can wake a guest of a store that has nothing to do: something of the
/// host's that goes on, or that the embedder closes an end that it has of a guest's.
fn may_be_woken(store: &StoreInner) -> bool {
    store.reactor.waiting() > 0 || HostEnds::find(store).is_some_and(HostEnds::are_held)
}
