//! The loop that lets tasks, and what of the host's they wait for, go on for a call of the host's,
//! until that has its result.
//!
//! Each item, a task that goes on until it waits, is an entry of the host into the guest of its
//! own: with the thread's signal stack and limits, and locked against other calls. Between two of
//! them no guest code is on any stack that runs. What is left over when the call has its result
//! stays as it is, for the next call of the same instance. For whoever would stop it, a call is one
//! from its first item to its last.

use crate::concurrent::driven::{Answer, Sink};
use crate::concurrent::records::{CallId, Holder, TaskState};
use crate::concurrent::scheduler::Resumer;
use crate::concurrent::state::{Fault, Tasks};
use crate::concurrent::turns::{self, Driving, ITEMS_OF_A_TURN};
use crate::load::backtrace::{Trap, WasmBacktrace};
use crate::machine::accessor::Token;
use crate::machine::instance::InstanceData;
use crate::machine::interrupt::{Interrupts, Running};
use crate::machine::parking::Parking;
use crate::machine::reactor::FutureId;
use crate::machine::store::StoreInner;
use anyhow::{Error, Result, ensure};
use std::ptr::NonNull;
use trampette_artifact::ids::TaskId;
use trampette_artifact::layout::Status;
use trampette_artifact::trap::TrapCode;

/// Calls a lifted function that runs as a task, and drives the instance until it has a result,
/// which `sink` is given in native form: what it refers to is valid only there.
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
    let is_async = tasks.plan().tasks[task].lift.is_some();
    ensure!(
        !is_async || !Token::is_in_use(instance.store()),
        "an `async` function was called from inside of a future of the same store, which it would \
         wait for; `call_concurrent` can be awaited there"
    );
    let params = params.expose_provenance() as u64;
    let call = tasks.new_task(task, params, 0);
    let call = call.map_err(|fault| match fault {
        Fault::Trap(code, _) => trap(code),
        Fault::Again => trap(TrapCode::RecordsFull),
    })?;
    let _left_over = LeftOver(tasks.store());
    let waiting = Waiting::begin(tasks, call, sink);
    // Between two items it can be stopped too.
    let running = tasks.store().interrupts().map(Interrupts::begin);
    if let Err(error) = enter(tasks, || tasks.start(call, Resumer::Loop)) {
        // Stopped before it began, it was only refused; after that, it has ended the instance.
        if tasks.pool()[call].state.get() != TaskState::Initial {
            instance.end();
        }
        return Err(error);
    }
    let parking = Parking::default();
    let is_resolved = || tasks.pool()[call].is_resolved();
    while !is_resolved() {
        if turn(tasks, is_resolved)? {
            continue;
        }
        // What it waits for of the host's may itself wait for another instance.
        if turns::others(tasks.store(), Driving::Call(instance), 0)? > 0 {
            continue;
        }
        if tasks.is_over() {
            // By a call that a future of the host's has made.
            return Err(trap(TrapCode::CannotEnter));
        }
        if let Some(code) = tasks.store().interrupts().and_then(Interrupts::stop_code) {
            instance.end();
            return Err(trap(code));
        }
        if tasks.store().reactor.waiting() == 0 {
            return Err(tasks.deadlock(call));
        }
        if let Err(stopped) = parking.wait(instance) {
            instance.end();
            return Err(stopped);
        }
    }
    drop(waiting);
    match running.is_some_and(Running::end) {
        false => Ok(()),
        // An interruption that has been promised, and came when all was done.
        true => Err(trap(TrapCode::Interrupt)),
    }
}

/// One turn of an instance: what each begins with, then its tasks go on until `is_over`, but not
/// too many; then those that have let others go first can go on in the next turn. Whether there was
/// anything to do.
///
/// # Errors
/// As of an item.
fn turn(tasks: Tasks<'_>, is_over: impl Fn() -> bool) -> Result<bool> {
    let driving = Driving::Call(tasks.instance);
    let mut worked = turns::begin(tasks.store(), driving)? > 0;
    for _ in 0..ITEMS_OF_A_TURN {
        if tasks.is_over() {
            return Ok(worked);
        }
        let Some(next) = tasks.next() else {
            break;
        };
        worked = true;
        turns::run(tasks, driving, || tasks.run(next, Resumer::Loop))?;
        if is_over() {
            return Ok(true);
        }
    }
    Ok(tasks.end_turn() || worked)
}

/// Waits for a host function that the host has called itself, by way of an instance.
///
/// # Errors
/// If the call is stopped, or nothing can make the function go on.
pub(crate) fn wait_for_host(instance: &InstanceData, future: FutureId) -> Result<()> {
    let store = instance.store();
    let _left_over = LeftOver(store);
    let _running = store.interrupts().map(Interrupts::begin);
    let parking = Parking::default();
    let driving = Driving::Call(instance);
    while !store.reactor.is_over(future) {
        let begun = turns::begin(store, driving)?;
        if begun > 0 || turns::others(store, driving, begun)? > 0 {
            continue;
        }
        parking.wait(instance)?;
    }
    Ok(())
}

/// When a call is over, what ends have not arrived are closed.
struct LeftOver<'a>(&'a StoreInner);

impl Drop for LeftOver<'_> {
    fn drop(&mut self) {
        turns::close_ends(self.0);
    }
}

/// Runs one item. A trap ends the instance.
pub(crate) fn enter(tasks: Tasks<'_>, item: impl FnOnce() -> Result<(), Fault>) -> Result<()> {
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
pub(crate) fn trap(code: TrapCode) -> Error {
    Trap::new(code, 0, WasmBacktrace::default()).into()
}

/// A call of the host's is driven as long as this lives.
struct Waiting<'a> {
    tasks: Tasks<'a>,
    call: CallId,
}

impl<'a> Waiting<'a> {
    fn begin(
        tasks: Tasks<'a>,
        call: CallId,
        sink: &mut (dyn FnMut(*const u8) -> Result<()> + '_),
    ) -> Waiting<'a> {
        let sink: NonNull<dyn FnMut(*const u8) -> Result<()> + '_> = NonNull::from(sink);
        // SAFETY: only the lifetime changes; `drop` takes it out before it ends.
        let sink = unsafe {
            std::mem::transmute::<NonNull<dyn FnMut(*const u8) -> Result<()> + '_>, NonNull<Sink>>(
                sink,
            )
        };
        tasks.drive(call, Answer::Sink(sink));
        Waiting { tasks, call }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let (tasks, call) = (self.tasks, self.call);
        drop(tasks.take_driven(call));
        tasks.abandon(call);
    }
}

impl Tasks<'_> {
    /// The host's part of a call is over, whatever becomes of the task.
    pub(crate) fn abandon(self, call: CallId) {
        if self.pool()[call].state.get() == TaskState::Initial {
            // Its parameters go now, so that it cannot start any more.
            self.stop_waiting(call);
            self.serve_lock(self.pool()[call].instance);
            self.leave(call, Holder::Task);
        }
        self.deliver_subtask(call);
        self.leave(call, Holder::Caller);
    }
}
