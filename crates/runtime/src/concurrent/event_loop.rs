//! The loop that lets tasks go on for a call of the host's, until that has its result.
//!
//! Each item, a task that goes on until it waits, is an entry of the host into the guest of its
//! own: with the thread's signal stack and limits, and locked against other calls. Between two of
//! them no guest code is on any stack that runs. What is left over when the call has its result
//! stays as it is, for the next call of the same instance. For whoever would stop it, a call is one
//! from its first item to its last.

use crate::concurrent::host_ends::HostEnds;
use crate::concurrent::records::{CallId, Holder, TaskState};
use crate::concurrent::state::{Driven, Fault, Sink, Tasks};
use crate::load::backtrace::{Trap, WasmBacktrace};
use crate::machine::activation::Activation;
use crate::machine::instance::InstanceData;
use crate::machine::interrupt::{Interrupts, Running};
use crate::machine::store::StoreInner;
use anyhow::{Error, Result};
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::Duration;
use trampette_artifact::ids::TaskId;
use trampette_artifact::layout::Status;
use trampette_artifact::trap::TrapCode;

/// Calls a lifted function of an `async` type, and drives the instance until it has a result, which
/// `sink` is given in native form: what it refers to is valid only there.
///
/// # Safety
/// The task's caller is the host. `params` points to the native struct of the parameters, which
/// lives as long as this call, with all that it refers to.
///
/// # Errors
/// As of any call: a trap of this task or of another one that went on meanwhile, which ends the
/// instance; that of `sink`; and a [`Trap`] if nothing can go on before the task has a result.
pub(crate) unsafe fn call(
    instance: &InstanceData,
    task: TaskId,
    params: *const u8,
    sink: &mut (dyn FnMut(*const u8) -> Result<()> + '_),
) -> Result<()> {
    if instance.is_entered() {
        return Err(trap(TrapCode::CannotEnter));
    }
    let tasks = Tasks::of(instance).map_err(trap)?;
    let params = params.expose_provenance() as u64;
    let call = tasks.new_task(task, params, 0);
    let call = call.map_err(|fault| match fault {
        Fault::Trap(code, _) => trap(code),
        Fault::Again => trap(TrapCode::RecordsFull),
    })?;
    let driving = Driving::begin(tasks, call, sink);
    // Between two items it can be stopped too.
    let running = tasks.store().interrupts().map(Interrupts::begin);
    let outermost = Activation::current().is_null();
    if let Err(error) = enter(tasks, || tasks.start(call)) {
        // Stopped before it began, it was only refused; after that, it has ended the instance.
        if tasks.pool()[call].state.get() != TaskState::Initial {
            instance.end();
        }
        return Err(error);
    }
    while !tasks.pool()[call].is_resolved() {
        host_turn(tasks)?;
        let Some(next) = tasks.next() else {
            if tasks.pool()[call].is_resolved() {
                break;
            }
            if tasks.store().reactor.waiting() == 0 {
                return Err(trap(TrapCode::Deadlock));
            }
            wait_for_host(tasks.store())?;
            continue;
        };
        let done = enter(tasks, || tasks.run(next));
        if done.is_err() {
            // An item that was stopped before it began has ended nothing, but is in no queue.
            instance.end();
            return done;
        }
    }
    drop(driving);
    if outermost && let Some(ends) = HostEnds::find(tasks.store()) {
        ends.close_unnamed(tasks.store());
    }
    match running.is_some_and(Running::end) {
        false => Ok(()),
        // An interruption that has been promised, and came when all was done.
        true => Err(trap(TrapCode::Interrupt)),
    }
}

/// Lets what the host has in the store go on.
///
/// # Errors
/// If it fails.
fn host_turn(tasks: Tasks<'_>) -> Result<()> {
    let store = tasks.store();
    while let Some(polled) = store.reactor.poll_next(store) {
        if let Some(panic) = polled.failure {
            std::panic::resume_unwind(panic);
        }
    }
    let Some(ends) = HostEnds::find(store) else {
        return Ok(());
    };
    ends.close_dropped(store);
    let woken = std::mem::take(&mut *ends.woken.borrow_mut());
    for (instance, end) in woken {
        // SAFETY: instances live as long as their store.
        let instance = unsafe { instance.as_ref() };
        if instance.is_entered() {
            // A call further out is in it.
            ends.woken.borrow_mut().push((instance.into(), end));
            continue;
        }
        let of_instance = Tasks::of(instance).map_err(trap)?;
        let done = enter(of_instance, || of_instance.serve(end));
        if std::ptr::eq(instance, tasks.instance) {
            done?;
        }
    }
    Ok(())
}

/// Waits until something of the host's can go on, or it is time to look at the clock.
///
/// # Errors
/// If the call is to be stopped.
fn wait_for_host(store: &StoreInner) -> Result<()> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    if store.reactor.set_driver(&waker) {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    store.check_time()
}

/// Runs one item. A trap ends the instance.
fn enter(tasks: Tasks<'_>, item: impl FnOnce() -> Result<(), Fault>) -> Result<()> {
    let _arena = Arena::begin(tasks.store());
    tasks.instance.enter(|_| match item() {
        Ok(()) => Status::Ok as u32,
        Err(fault) => {
            if let Fault::Trap(code, payload) = fault {
                tasks.store().trap.record_here(code, payload);
            }
            Status::Trap as u32
        }
    })
}

/// Gives back what an item takes from the arena: no task has anything there while it waits, and the
/// host has read a result before the task goes on.
struct Arena<'a> {
    store: &'a StoreInner,
    mark: u64,
}

impl<'a> Arena<'a> {
    fn begin(store: &'a StoreInner) -> Arena<'a> {
        let mark = store.arena_mark();
        Arena { store, mark }
    }
}

impl Drop for Arena<'_> {
    fn drop(&mut self) {
        self.store.arena_reset(self.mark);
    }
}

#[cold]
fn trap(code: TrapCode) -> Error {
    Trap::new(code, 0, WasmBacktrace::default()).into()
}

/// A call of the host's is driven as long as this lives.
struct Driving<'a> {
    tasks: Tasks<'a>,
    call: CallId,
}

impl<'a> Driving<'a> {
    fn begin(
        tasks: Tasks<'a>,
        call: CallId,
        sink: &mut (dyn FnMut(*const u8) -> Result<()> + '_),
    ) -> Driving<'a> {
        let sink: NonNull<dyn FnMut(*const u8) -> Result<()> + '_> = NonNull::from(sink);
        // SAFETY: only the lifetime changes; `drop` takes it out before it ends.
        let sink = unsafe {
            std::mem::transmute::<NonNull<dyn FnMut(*const u8) -> Result<()> + '_>, NonNull<Sink>>(
                sink,
            )
        };
        let generation = tasks.pool()[call].generation;
        tasks.driven.borrow_mut().push(Driven {
            call,
            generation,
            sink,
        });
        Driving { tasks, call }
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        let (tasks, call) = (self.tasks, self.call);
        let mut driven = tasks.driven.borrow_mut();
        driven.retain(|driven| driven.call != call);
        drop(driven);
        if tasks.pool()[call].state.get() == TaskState::Initial {
            // Its parameters go now, so that it cannot start any more.
            tasks.stop_waiting(call);
            tasks.serve_lock(tasks.pool()[call].instance);
            tasks.leave(call, Holder::Task);
        }
        tasks.deliver_subtask(call);
        tasks.leave(call, Holder::Caller);
    }
}
