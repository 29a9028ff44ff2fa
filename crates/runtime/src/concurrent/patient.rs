//! Calls that wait for the host without its thread: a *patient* call runs guest code that is not
//! `async` on a pooled stack, and where a host function has to wait, the whole stack does, frozen
//! as it is, until the function's future is done.
//!
//! Compiled code knows nothing of it: it has called a host function, and that returns later. So
//! nothing else of the instance may run meanwhile: it stays locked, and what of other instances
//! runs in between nests in what the frozen call has in the store.
//!
//! The frames that are frozen are guest code's, of which nothing needs to be dropped, and those of
//! a shim and [`finish`], which own nothing: the future is the store's. So a frozen call can be
//! given up by giving back its stack. Its instance has ended then, as by a trap.
//!
//! A host function waits on its thread instead where the stack is not that of a patient call, or
//! where frames of the embedder's are between the two.

use crate::concurrent::chain::{Resumed, begin, resume, suspend};
use crate::concurrent::driver::{Arguments, Driver, Take, WhenIdle};
use crate::concurrent::event_loop::{trap, wait_for_host};
use crate::concurrent::switch::Ending;
use crate::machine::activation::Activation;
use crate::machine::entry_code::EntryCode;
use crate::machine::failure::{self, contain};
use crate::machine::instance::InstanceData;
use crate::machine::reactor::{Failure, FutureId};
use crate::machine::stacks;
use crate::machine::store::StoreInner;
use crate::memory::stack_pool::Stack;
use anyhow::{Context as _, Error, Result};
use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::convert::identity;
use std::task::{Context, Poll};
use trampette_artifact::layout::{HOST_ERROR, Status};
use trampette_artifact::trap::TrapCode;

/// A patient call, from its beginning to its result. It goes on when it is polled.
pub(crate) struct Patient<O> {
    frozen: Box<Frozen>,
    driver: Driver,
    take: Take<O>,
    /// What the parameters and the result are in.
    _owners: [Box<dyn Any>; 2],
    /// Where the arena was, and how many lends there were.
    arena_mark: u64,
    lends: usize,
}

// SAFETY: the store, which it is polled with, may be sent; arguments and results can be, as whoever
// makes one promises; and the stack is of no thread.
unsafe impl<O: Send> Send for Patient<O> {}

/// Room for the result of a call: its native struct, and what owns that.
pub(crate) struct Room {
    pub native: *mut u8,
    pub owner: Box<dyn Any>,
}

/// What the frames on the stack and whoever polls know of each other. It stays where it is.
struct Frozen {
    instance: *const InstanceData,
    /// The store that it is in.
    store: u64,
    /// The entry, which is the same for all polls: lends know it by its address.
    activation: UnsafeCell<Activation>,
    code: EntryCode,
    args: *const u8,
    results: *mut u8,
    /// The stack; `None` before the first poll and when the call is over.
    stack: Cell<Option<Stack>>,
    has_run: Cell<bool>,
    /// What the entry has returned.
    status: Cell<u32>,
    /// What the host function that has frozen the stack waits for.
    waits_for: Cell<Option<FutureId>>,
}

/// What is at the base of the stack.
unsafe extern "C" fn base(argument: u64) -> Ending {
    // SAFETY: the argument is the address of what lives as long as the stack; the code is that of
    // an export, and the pointers are those of its arguments and result.
    let status = unsafe {
        let frozen = &*std::ptr::with_exposed_provenance::<Frozen>(argument as usize);
        let context = (*frozen.instance).context();
        let status = frozen.code.entry.call(context, frozen.args, frozen.results);
        frozen.status.set(status);
        status
    };
    match status == Status::Trap as u32 {
        true => Ending::Trapped,
        false => Ending::Finished,
    }
}

impl<O> Patient<O> {
    /// A call of an export that is not `async`, which begins in the first poll.
    ///
    /// # Safety
    /// The code is that of an export of the instance, the arguments are those of its type, and
    /// `room` is for the native struct of its result. All of them, and what `take` has, can be sent
    /// to another thread.
    pub(crate) unsafe fn new(
        instance: &InstanceData,
        code: EntryCode,
        arguments: Arguments,
        room: Room,
        take: Take<O>,
    ) -> Patient<O> {
        let store = instance.store();
        Patient {
            frozen: Box::new(Frozen {
                instance,
                store: store.id(),
                activation: UnsafeCell::new(Activation::outermost(instance)),
                code,
                args: arguments.native,
                results: room.native,
                stack: Cell::new(None),
                has_run: Cell::new(false),
                status: Cell::new(Status::Ok as u32),
                waits_for: Cell::new(None),
            }),
            driver: Driver::default(),
            take,
            _owners: [arguments.owner, room.owner],
            arena_mark: store.arena_mark(),
            lends: store.lends.borrow().len(),
        }
    }

    /// Goes on with the call, and with what else can go on in its store.
    ///
    /// # Errors
    /// As of any call.
    pub(crate) fn poll(&mut self, store: &StoreInner, cx: &mut Context<'_>) -> Poll<Result<O>> {
        let frozen = &*self.frozen;
        if frozen.store != store.id() {
            // Whoever lends it has another one now.
            return Poll::Ready(Err(Error::msg(
                "a call goes on in another store than its own",
            )));
        }
        let polled = self
            .driver
            .poll(store, cx, WhenIdle::Waits, |_| frozen.poll(store));
        let ended = match polled {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(ended) => ended.flatten(),
        };
        if let Err(error) = ended {
            self.give_up(store);
            // The drop of a future has perhaps panicked.
            let _ = failure::take(store);
            return Poll::Ready(Err(error));
        }
        // SAFETY: the future is polled with the instance's store.
        let instance = unsafe { &*frozen.instance };
        let (results, take) = (frozen.results, &mut self.take);
        Poll::Ready(instance.read_results(frozen.code, self.arena_mark, || take(store, results)))
    }

    /// Ends a call that has no result, and with it its instance if guest code is on its stack. A
    /// panic of the drop of a future is left in the store.
    fn give_up(&self, store: &StoreInner) {
        store.arena_reset(self.arena_mark);
        let Some(stack) = self.frozen.stack.take() else {
            return;
        };
        // SAFETY: the stack is suspended, and of this store; nobody resumes it any more.
        unsafe { store.stacks.release(stack) };
        store.release_lends(self.lends);
        store.release_host_results();
        // SAFETY: the call is given up with the instance's store.
        let instance = unsafe { &*self.frozen.instance };
        match self.frozen.has_run.get() {
            // It stays locked.
            true => instance.end(),
            false => instance.unlock(),
        }
    }

    /// Gives up a call whose future is dropped, or has panicked.
    pub(crate) fn drop_in(self, store: &StoreInner) {
        let waits = self.frozen.stack.get().is_some();
        if self.frozen.store != store.id() {
            // Its own may be gone. The stack goes with that.
            std::mem::forget(self);
            return;
        }
        self.give_up(store);
        if waits {
            // Nobody can be told.
            drop(store.take_host_panic());
        }
    }
}

impl Frozen {
    /// Lets the stack go on until it waits or ends; ready when it has ended.
    fn poll(&self, store: &StoreInner) -> Poll<Result<()>> {
        // SAFETY: instances live as long as their store.
        let instance = unsafe { &*self.instance };
        let stack = match self.stack.get() {
            Some(stack) => stack,
            None => self.begin(instance)?,
        };
        let is_over = |future| store.reactor.is_over(future);
        while self.waits_for.get().is_none_or(is_over) {
            let mut resumed = None;
            let entered = instance.enter_as(&self.activation, |_| {
                instance.unlock();
                self.has_run.set(true);
                // SAFETY: the stack is suspended, or begins, and the instance was entered just now.
                let came = unsafe { resume(instance, stack, 0) };
                resumed = Some(came);
                match came {
                    Resumed::Suspended(_) => {
                        instance.lock();
                        Status::Ok as u32
                    }
                    Resumed::Finished(_) => {
                        self.stack.set(None);
                        if self.code.post_return.is_some() {
                            // The entry's lock has gone with the stack. This ends it.
                            instance.lock();
                        }
                        self.status.get()
                    }
                    Resumed::Trapped(_) => {
                        self.stack.set(None);
                        instance.lock();
                        Status::Trap as u32
                    }
                }
            });
            entered?;
            if matches!(resumed, Some(Resumed::Finished(_))) {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending
    }

    /// A stack that begins with the call. The instance is locked from now on.
    fn begin(&self, instance: &InstanceData) -> Result<Stack> {
        // One that has panicked is over.
        if instance.is_entered() || self.has_run.get() {
            return Err(trap(TrapCode::CannotEnter));
        }
        let store = instance.store();
        let stack = store.stacks.take_for_call(instance).map_err(trap)?;
        // The entry locks by itself.
        stack.entry_sp.set(0);
        let argument = std::ptr::from_ref(self).expose_provenance() as u64;
        stack.owner[0].set(argument);
        stack.owner[1].set(self.activation.get().addr() as u64);
        // SAFETY: the stack is fresh, and this lives as long as it.
        unsafe { begin(stack, base, argument) };
        self.stack.set(Some(stack));
        store.calls.set(store.calls.get().wrapping_add(1));
        instance.lock();
        Ok(stack)
    }
}

/// The patient call whose guest has called the host function that runs, if nothing of the
/// embedder's is in between.
#[inline(never)]
fn innermost(_store: &StoreInner) -> Option<&Frozen> {
    let address = stacks::awaited()?.owner[0].get() as usize;
    // SAFETY: such stacks are those of patient calls, which live as long.
    unsafe { std::ptr::with_exposed_provenance::<Frozen>(address).as_ref() }
}

/// Waits for the future that a host function has left in the store, and writes its result: with the
/// whole stack, if it is that of a patient call, and otherwise on this thread. What compiled code
/// is told.
///
/// # Safety
/// Compiled code has called the function. `results` has room for its result. The caller owns
/// nothing, and uses no thread local before and after: perhaps another thread goes on.
#[inline(never)]
pub(crate) unsafe fn finish(store: &StoreInner, results: *mut u8) -> u32 {
    let Some(future) = store.host_pending.take() else {
        store.set_host_error(Error::msg("a host function waits for nothing"));
        return HOST_ERROR;
    };
    match innermost(store) {
        Some(frozen) => {
            frozen.waits_for.set(Some(future));
            // SAFETY: the active stack is that of a patient call. On it are frames of guest code,
            // and the caller's, as promised.
            unsafe { suspend(&*frozen.instance, 0) };
            frozen.waits_for.set(None);
            // SAFETY: promised.
            unsafe { complete(store, future, results) }
        }
        // SAFETY: promised.
        None => unsafe { wait_here(store, future, results) },
    }
}

/// Writes the result of a future that is done.
#[inline(never)]
unsafe fn complete(store: &StoreInner, future: FutureId, results: *mut u8) -> u32 {
    contain(store, identity, || {
        // SAFETY: the caller's promise.
        unsafe { store.reactor.take_result(store, future, results) }.map_err(Failure::raise)
    })
}

/// Waits on this thread.
#[inline(never)]
unsafe fn wait_here(store: &StoreInner, future: FutureId, results: *mut u8) -> u32 {
    let waited = contain(store, identity, || {
        // SAFETY: activations of this thread are live.
        let activation = unsafe { Activation::current().as_ref() };
        let instance = activation.map(Activation::instance);
        wait_for_host(instance.context("no guest has called")?, future).inspect_err(|_| {
            // The error matters more than what the drop panics with.
            let _ = store.reactor.remove(future);
        })
    });
    match waited {
        // SAFETY: the caller's promise.
        0 => unsafe { complete(store, future, results) },
        failed => failed,
    }
}
