//! The reactor: what of the host's goes on while guests do, in slots of the store.
//!
//! That is a host function's future that was not done at once, a producer or consumer of a stream,
//! a task of the embedder's. The store owns them, so that the embedder may drop or forget what it
//! has of a call; each belongs to an instance, with which it goes, or to the store alone.
//!
//! A future is polled outside of its slot, and no cell of the store is borrowed meanwhile: it may
//! act on the store, and even get here again. Inside of its own poll it is not polled. Whatever it
//! or its drop panics with is contained.
//!
//! Each slot has one waker, which may be used on any thread, and at any later time. It puts its
//! slot on the list of those to be polled, if it is not there already, and tells the *driver*:
//! whoever waits for the store to have something to do. No number of wakes makes the list longer
//! than there are slots, and a waker outlives its future without effect.

use crate::machine::accessor::Token;
use crate::machine::activation::Activation;
use crate::machine::blocks::{Block, Blocks};
use crate::machine::instance::InstanceData;
use crate::machine::ledger::Amount;
use crate::machine::store::StoreInner;
use anyhow::{Error, anyhow};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::{NonNull, null};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// What goes on in the reactor. It must be possible to send it to another thread, as the store may
/// be, together with the embedder's data.
pub(crate) trait HostFuture {
    /// Goes on. Nothing of the store is borrowed, so this may change what it likes there; it is not
    /// to enter guest code.
    fn poll(self: Pin<&mut Self>, store: &StoreInner, cx: &mut Context<'_>) -> Poll<Done>;

    /// Bytes that it takes besides its own, when it is put into a slot.
    fn more_bytes(&self) -> u64 {
        0
    }

    /// Writes the native form of its result, once, when it stays with one.
    ///
    /// # Safety
    /// `to` has room for the result.
    ///
    /// # Errors
    /// If the result cannot be represented.
    unsafe fn write_result(
        self: Pin<&mut Self>,
        store: &StoreInner,
        to: *mut u8,
    ) -> Result<(), Error> {
        let _ = (store, to);
        Err(anyhow!("there is no result"))
    }
}

/// What becomes of a future that has nothing to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Done {
    /// It is over.
    Gone,
    /// It stays in its slot: until somebody has taken its result, or wants it to go on.
    Stays,
}

/// How polling a future failed.
pub(crate) enum Failure {
    Error(Error),
    Panic(Payload),
}

impl Failure {
    /// The error. A panic goes on here.
    pub(crate) fn raise(self) -> Error {
        match self {
            Failure::Error(error) => error,
            Failure::Panic(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// What a panic says.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Names a future in a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FutureId {
    slot: u32,
    /// Tells it from others that have had the same slot.
    generation: u32,
}

/// What a future came to that was polled for the first time.
pub(crate) enum Begun<F> {
    /// It did not have to wait, and was never in a slot. Its memory is to be
    /// [given back](Reactor::recycle).
    Ready(Block<F>),
    /// It goes on in its slot.
    Waits(FutureId),
    Failed(Failure),
}

/// A future was polled.
pub(crate) struct Polled<'s> {
    /// The instance that it belongs to.
    pub instance: Option<&'s InstanceData>,
    /// What [`Reactor::set_owner`] said.
    pub owner: u32,
    /// What became of it; `None` if it waits, has panicked, or was removed meanwhile.
    pub done: Option<Done>,
    /// If it panicked, with what. Then it is gone.
    pub failure: Option<Payload>,
}

/// The state of a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Free,
    /// It has a future that waits for nothing.
    Stays,
    /// It has a future that waits.
    Waits,
    /// Its future is being polled.
    Polled,
    /// Its future is being polled, and is to be dropped after that.
    Doomed,
}

struct Slot {
    state: Cell<State>,
    generation: Cell<u32>,
    /// `None` while it is polled.
    future: Cell<Option<Block<dyn HostFuture>>>,
    /// What the future is charged with.
    bytes: Cell<u64>,
    instance: Cell<*const InstanceData>,
    owner: Cell<u32>,
    /// What its waker sets.
    alarm: RefCell<Arc<Alarm>>,
    /// The waker, but while the future is polled.
    waker: Cell<Option<Waker>>,
}

/// What the waker of a slot does.
struct Alarm {
    list: Arc<WakeList>,
    slot: u32,
    /// Set from when it is woken until it is polled, and for ever when its future is gone.
    is_set: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_set.swap(true, Ordering::AcqRel) {
            self.list.push(self.slot);
        }
    }
}

/// The slots to be polled, and who is told of them.
#[derive(Default)]
pub(crate) struct WakeList {
    state: Mutex<Woken>,
    /// Whether there may be any.
    is_filled: AtomicBool,
    /// Whether the driver was told, since the last turn began, of something that is no slot.
    is_told: AtomicBool,
}

#[derive(Default)]
struct Woken {
    slots: VecDeque<u32>,
    /// By slot: whether it is in `slots`.
    listed: Vec<bool>,
    driver: Option<Waker>,
}

/// Uses a waker of the embedder's. It may do anything, but this may be in a drop, on another thread
/// or in the middle of a guest's call: nobody can be told of a panic.
pub(crate) fn wake_quietly(waker: Option<Waker>) {
    let _ = catch_unwind(AssertUnwindSafe(|| waker.map(Waker::wake)));
}

impl WakeList {
    fn lock(&self) -> MutexGuard<'_, Woken> {
        // Nothing panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, slot: u32) {
        let mut woken = self.lock();
        let index = slot as usize;
        if woken.listed.len() <= index {
            woken.listed.resize(index + 1, false);
        }
        if !std::mem::replace(&mut woken.listed[index], true) {
            woken.slots.push_back(slot);
        }
        self.is_filled.store(true, Ordering::Release);
        let driver = woken.driver.take();
        drop(woken);
        wake_quietly(driver);
    }

    fn pop(&self) -> Option<u32> {
        if !self.is_filled.load(Ordering::Acquire) {
            return None;
        }
        let mut woken = self.lock();
        let slot = woken.slots.pop_front();
        match slot {
            Some(slot) => woken.listed[slot as usize] = false,
            None => self.is_filled.store(false, Ordering::Relaxed),
        }
        slot
    }

    /// How many slots are to be polled.
    fn len(&self) -> usize {
        match self.is_filled.load(Ordering::Acquire) {
            true => self.lock().slots.len(),
            false => 0,
        }
    }

    /// Tells the driver that there is something to do, whatever it is.
    pub(crate) fn tell_driver(&self) {
        // Before the look for a driver: one that is not there yet finds this.
        self.is_told.store(true, Ordering::Release);
        let driver = self.lock().driver.take();
        wake_quietly(driver);
    }

    /// Sets who is told, once; false if there is something to do already.
    fn set_driver(&self, driver: &Waker) -> bool {
        // Neither cloning a waker nor dropping one is to happen under the lock.
        let driver = driver.clone();
        let mut woken = self.lock();
        let before = woken.driver.replace(driver);
        let is_idle = woken.slots.is_empty();
        drop(woken);
        drop(before);
        is_idle && !self.is_told.load(Ordering::Acquire)
    }
}

/// The futures of a store.
#[derive(Default)]
pub(crate) struct Reactor {
    /// Boxed by [`Reactor::new_slot`], freed on drop.
    slots: RefCell<Vec<NonNull<Slot>>>,
    free: RefCell<Vec<u32>>,
    list: Arc<WakeList>,
    blocks: Blocks,
    /// Futures in slots, and their bytes.
    count: Cell<u32>,
    bytes: Cell<u64>,
    /// Those of them that wait.
    waiting: Cell<u32>,
}

impl Reactor {
    /// How many futures wait for something.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.get()
    }

    /// Whether there are no futures at all.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.get() == 0
    }

    /// How many futures are to be polled.
    pub(crate) fn woken(&self) -> usize {
        self.list.len()
    }

    /// A turn begins, which looks at all of which the driver was told.
    pub(crate) fn begin_turn(&self) {
        if self.list.is_told.load(Ordering::Relaxed) {
            self.list.is_told.swap(false, Ordering::AcqRel);
        }
    }

    /// What tells the driver.
    pub(crate) fn wake_list(&self) -> &Arc<WakeList> {
        &self.list
    }

    /// Sets who is told when there is something to do; false if there is already.
    pub(crate) fn set_driver(&self, driver: &Waker) -> bool {
        self.list.set_driver(driver)
    }

    /// Polls a future for the first time. If it has to wait it goes on in a slot.
    ///
    /// # Safety
    /// It can be sent to another thread, if the embedder's data can.
    pub(crate) unsafe fn begin<F: HostFuture + 'static>(
        &self,
        store: &StoreInner,
        instance: Option<&InstanceData>,
        future: F,
    ) -> Begun<F> {
        let (index, slot) = self.reserve(instance);
        let mut block = self.blocks.make(future);
        let polled = self.poll_block(slot, &mut block, store);
        match polled {
            Ok(Poll::Ready(_)) => {
                self.vacate(index, slot);
                Begun::Ready(block)
            }
            Err(panic) => {
                self.vacate(index, slot);
                let _ = self.recycle(block);
                Begun::Failed(Failure::Panic(panic))
            }
            Ok(Poll::Pending) => match self.keep(index, slot, block, store) {
                Ok(id) => Begun::Waits(id),
                Err(failure) => Begun::Failed(failure),
            },
        }
    }

    /// Adds a future, which is polled in the next turn.
    ///
    /// # Safety
    /// As [`Reactor::begin`].
    ///
    /// # Errors
    /// If a limit is reached.
    pub(crate) unsafe fn add<F: HostFuture + 'static>(
        &self,
        store: &StoreInner,
        instance: Option<&InstanceData>,
        future: F,
    ) -> Result<FutureId, Failure> {
        let (index, slot) = self.reserve(instance);
        let block = self.blocks.make(future);
        let id = self.keep(index, slot, block, store)?;
        self.wake(id);
        Ok(id)
    }

    /// Notes whose future it is: whoever polls it is told this number, which is 0 before.
    pub(crate) fn set_owner(&self, id: FutureId, owner: u32) {
        if let Some(slot) = self.live(id) {
            slot.owner.set(owner);
        }
    }

    /// Polls the next of those that were woken; `None` if there is none.
    pub(crate) fn poll_next<'s>(&self, store: &'s StoreInner) -> Option<Polled<'s>> {
        while let Some(index) = self.list.pop() {
            let slot = self.slot(index)?;
            // Wakers of others that have had the slot set another alarm.
            let is_set = slot.alarm.borrow().is_set.load(Ordering::Acquire);
            match slot.state.get() {
                State::Stays | State::Waits if is_set => {
                    return Some(self.poll_slot(index, slot, store));
                }
                // The alarm stays set: when the poll is over, the slot is on the list again.
                _ => {}
            }
        }
        None
    }

    /// Polls a future now; `None` if it is gone, or being polled.
    pub(crate) fn poll_now<'s>(&self, store: &'s StoreInner, id: FutureId) -> Option<Polled<'s>> {
        let slot = self.live(id)?;
        match slot.state.get() {
            State::Stays | State::Waits => Some(self.poll_slot(id.slot, slot, store)),
            State::Free | State::Polled | State::Doomed => None,
        }
    }

    /// Whether a future is gone, or stays without waiting for anything.
    pub(crate) fn is_over(&self, id: FutureId) -> bool {
        let slot = self.live(id);
        slot.is_none_or(|slot| slot.state.get() == State::Stays)
    }

    /// Lets a future be polled in the next turn.
    pub(crate) fn wake(&self, id: FutureId) {
        let alarm = self.live(id).map(|slot| slot.alarm.borrow().clone());
        if let Some(alarm) = alarm {
            alarm.wake();
        }
    }

    /// Writes the result of a future that stays with one, which is gone then.
    ///
    /// # Safety
    /// As [`HostFuture::write_result`].
    ///
    /// # Errors
    /// If there is no such future, that of the future, or what it or its drop panicked with.
    pub(crate) unsafe fn take_result(
        &self,
        store: &StoreInner,
        id: FutureId,
        to: *mut u8,
    ) -> Result<(), Failure> {
        let stays = self
            .live(id)
            .filter(|slot| slot.state.get() == State::Stays);
        let future = stays.and_then(|slot| {
            let future = slot.future.take();
            self.uncount(slot);
            self.vacate(id.slot, slot);
            future
        });
        let Some(mut future) = future else {
            return Err(Failure::Error(anyhow!("there is no result")));
        };
        let written = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the caller's promise.
            unsafe { future.get().write_result(store, to) }
        }));
        let dropped = self.recycle(future);
        match written {
            Ok(Ok(())) => dropped.map_or(Ok(()), |panic| Err(Failure::Panic(panic))),
            Ok(Err(error)) => Err(Failure::Error(error)),
            Err(panic) => Err(Failure::Panic(panic)),
        }
    }

    /// Drops a future; later, if it is being polled. Gives what the drop panics with.
    pub(crate) fn remove(&self, id: FutureId) -> Option<Payload> {
        let slot = self.live(id)?;
        self.remove_slot(id.slot, slot)
    }

    /// Drops all futures of an instance. Gives what the first panics with.
    pub(crate) fn remove_of(&self, instance: &InstanceData) -> Option<Payload> {
        self.remove_if(|slot| std::ptr::eq(slot.instance.get(), instance))
    }

    /// Drops all futures. Gives what the first panics with.
    pub(crate) fn remove_all(&self) -> Option<Payload> {
        self.remove_if(|_| true)
    }

    fn remove_if(&self, is_meant: impl Fn(&Slot) -> bool) -> Option<Payload> {
        if self.slots.borrow().is_empty() {
            return None;
        }
        let mut first = None;
        // What is dropped may add others.
        for index in 0.. {
            let Some(slot) = self.slot(index) else { break };
            if slot.state.get() != State::Free && is_meant(slot) {
                let panic = self.remove_slot(index, slot);
                first = first.or(panic);
            }
        }
        first
    }

    fn remove_slot(&self, index: u32, slot: &Slot) -> Option<Payload> {
        match slot.state.get() {
            State::Free | State::Doomed => None,
            State::Polled => {
                slot.state.set(State::Doomed);
                None
            }
            State::Stays | State::Waits => {
                let future = slot.future.take();
                self.uncount(slot);
                self.vacate(index, slot);
                self.recycle(future?)
            }
        }
    }

    /// Drops a future that is in no slot, and keeps its memory for others. Gives what the drop
    /// panics with.
    pub(crate) fn recycle<F: ?Sized>(&self, future: Block<F>) -> Option<Payload> {
        catch_unwind(AssertUnwindSafe(|| self.blocks.recycle(future))).err()
    }

    /// Polls the future of a slot that has one.
    fn poll_slot<'s>(&self, index: u32, slot: &Slot, store: &'s StoreInner) -> Polled<'s> {
        // SAFETY: instances live as long as their store.
        let instance = unsafe { slot.instance.get().as_ref::<'s>() };
        let owner = slot.owner.get();
        let Some(mut future) = slot.future.take() else {
            return Polled {
                instance,
                owner,
                done: None,
                failure: None,
            };
        };
        self.uncount_waiting(slot);
        let polled = self.poll_block(slot, &mut future, store);
        let is_doomed = slot.state.get() == State::Doomed;
        let (done, state) = match &polled {
            _ if is_doomed => (None, None),
            Ok(Poll::Pending) => (None, Some(State::Waits)),
            Ok(Poll::Ready(Done::Stays)) => (Some(Done::Stays), Some(State::Stays)),
            Ok(Poll::Ready(Done::Gone)) => (Some(Done::Gone), None),
            Err(_) => (None, None),
        };
        let failure = match state {
            Some(state) => {
                slot.future.set(Some(future));
                self.settle(index, slot, state);
                None
            }
            None => {
                self.uncount(slot);
                self.vacate(index, slot);
                let dropped = self.recycle(future);
                polled.err().or(dropped)
            }
        };
        Polled {
            instance,
            owner,
            done: done.filter(|_| failure.is_none()),
            failure,
        }
    }

    /// Polls a future that is not in its slot.
    fn poll_block<F: HostFuture + ?Sized>(
        &self,
        slot: &Slot,
        future: &mut Block<F>,
        store: &StoreInner,
    ) -> Result<Poll<Done>, Payload> {
        slot.state.set(State::Polled);
        slot.alarm.borrow().is_set.store(false, Ordering::Release);
        let waker = slot.waker.take();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let mut cx = Context::from_waker(waker.as_ref().unwrap_or(Waker::noop()));
            Token::around(store, || future.get().poll(store, &mut cx))
        }));
        slot.waker.set(waker);
        polled
    }

    /// A slot without a future, not free any more.
    fn reserve(&self, instance: Option<&InstanceData>) -> (u32, &Slot) {
        let free = self.free.borrow_mut().pop();
        let index = free.unwrap_or_else(|| self.new_slot());
        let slot = self.slot(index).expect("it was made");
        slot.instance
            .set(instance.map_or(null(), std::ptr::from_ref));
        slot.owner.set(0);
        slot.state.set(State::Polled);
        (index, slot)
    }

    fn new_slot(&self) -> u32 {
        let mut slots = self.slots.borrow_mut();
        let index = u32::try_from(slots.len()).expect("there are fewer by the limit");
        let alarm = self.new_alarm(index);
        let slot = Box::new(Slot {
            state: Cell::new(State::Free),
            generation: Cell::new(0),
            future: Cell::new(None),
            bytes: Cell::new(0),
            instance: Cell::new(null()),
            owner: Cell::new(0),
            waker: Cell::new(Some(alarm.clone().into())),
            alarm: RefCell::new(alarm),
        });
        slots.push(NonNull::from(Box::leak(slot)));
        index
    }

    fn new_alarm(&self, slot: u32) -> Arc<Alarm> {
        Arc::new(Alarm {
            list: self.list.clone(),
            slot,
            is_set: AtomicBool::new(false),
        })
    }

    fn slot(&self, index: u32) -> Option<&Slot> {
        let slot = self.slots.borrow().get(index as usize).copied()?;
        // SAFETY: slots live as long as this.
        Some(unsafe { slot.as_ref() })
    }

    /// The slot of a future that is not gone.
    fn live(&self, id: FutureId) -> Option<&Slot> {
        let slot = self.slot(id.slot)?;
        let is_it = slot.generation.get() == id.generation && slot.state.get() != State::Free;
        is_it.then_some(slot)
    }

    /// Puts a new future into the slot that was reserved for it.
    fn keep<F: HostFuture + 'static>(
        &self,
        index: u32,
        slot: &Slot,
        mut block: Block<F>,
        store: &StoreInner,
    ) -> Result<FutureId, Failure> {
        let limits = store.limits.get();
        let own = block.bytes().saturating_add(block.get().more_bytes());
        let bytes = self.bytes.get().saturating_add(own);
        let reached = if slot.state.get() == State::Doomed {
            // What it did in its first poll has ended the instance.
            Some(anyhow!("the call is over"))
        } else if self.count.get() >= limits.host_futures {
            let limit = Amount::HostFutures(limits.host_futures.into());
            Some(anyhow!(
                "a host function has to wait, and {limit} do already"
            ))
        } else if bytes > limits.host_future_bytes {
            let limit = Amount::Bytes(limits.host_future_bytes);
            Some(anyhow!(
                "a host function has to wait, and those that do would take more than {limit}"
            ))
        } else {
            None
        };
        if let Some(error) = reached {
            self.vacate(index, slot);
            let _ = self.recycle(block);
            return Err(Failure::Error(error));
        }
        self.count.set(self.count.get() + 1);
        // SAFETY: activations of this thread are live.
        if let Some(activation) = unsafe { Activation::current().as_ref() } {
            // Whoever runs is not alone any more.
            activation.instance().set_yields(0);
        }
        self.bytes.set(bytes);
        slot.bytes.set(own);
        slot.future.set(Some(
            block.erased(|future| future as NonNull<dyn HostFuture>),
        ));
        self.settle(index, slot, State::Waits);
        Ok(FutureId {
            slot: index,
            generation: slot.generation.get(),
        })
    }

    /// The future of a slot is not polled any more.
    fn settle(&self, index: u32, slot: &Slot, state: State) {
        slot.state.set(state);
        if state == State::Waits {
            self.waiting.set(self.waiting.get() + 1);
        }
        // It was woken meanwhile, and somebody inside of it has perhaps looked for what to poll.
        if slot.alarm.borrow().is_set.load(Ordering::Acquire) {
            self.list.push(index);
        }
    }

    fn uncount_waiting(&self, slot: &Slot) {
        if slot.state.get() == State::Waits {
            self.waiting.set(self.waiting.get() - 1);
        }
    }

    /// A future that was counted leaves its slot.
    fn uncount(&self, slot: &Slot) {
        self.uncount_waiting(slot);
        self.count.set(self.count.get() - 1);
        self.bytes.set(self.bytes.get() - slot.bytes.take());
    }

    /// Frees a slot without a future. From now on the waker that the future had does nothing.
    fn vacate(&self, index: u32, slot: &Slot) {
        slot.state.set(State::Free);
        slot.generation.set(slot.generation.get().wrapping_add(1));
        let mut alarm = slot.alarm.borrow_mut();
        // One is the alarm's, one the waker's.
        if Arc::strong_count(&alarm) == 2 {
            fence(Ordering::Acquire);
        } else {
            alarm.is_set.store(true, Ordering::Release);
            *alarm = self.new_alarm(index);
            slot.waker.set(Some(alarm.clone().into()));
        }
        alarm.is_set.store(false, Ordering::Release);
        self.free.borrow_mut().push(index);
    }
}

#[cfg(test)]
impl Reactor {
    /// Futures in slots, and their bytes.
    pub(crate) fn held(&self) -> (u32, u64) {
        (self.count.get(), self.bytes.get())
    }

    /// Slots that were made.
    pub(crate) fn slots(&self) -> usize {
        self.slots.borrow().len()
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        // Whoever drops a store cannot be told.
        let _ = self.remove_all();
        for slot in self.slots.get_mut().drain(..) {
            // SAFETY: boxed by `new_slot`, and freed only here.
            let slot = unsafe { Box::from_raw(slot.as_ptr()) };
            slot.alarm.borrow().is_set.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
#[path = "reactor_tests.rs"]
mod tests;
