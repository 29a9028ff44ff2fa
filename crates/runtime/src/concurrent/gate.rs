//! The gate of a component instance: what may keep a task from entering it, or its callback from
//! being called. That is backpressure, and the exclusive lock, which every task holds while its
//! core code runs unless it was lifted with `async` and without a callback. Neither is for calls of
//! synchronous types.

use crate::concurrent::records::{CallId, Queued, TaskState, Wait};
use crate::concurrent::state::{Fault, Tasks};
use trampette_artifact::ids::{ComponentInstanceId, TaskId};
use trampette_artifact::tasks::LiftKind;
use trampette_artifact::trap::TrapCode;

/// `backpressure.inc` cannot be called more often than this without `backpressure.dec`.
const MOST_BACKPRESSURE: u32 = (1 << 16) - 1;

/// Whether a task that was lifted like this holds the lock while its core code runs.
fn needs_lock(lift: Option<LiftKind>) -> bool {
    match lift {
        Some(LiftKind::Synchronous | LiftKind::Callback) => true,
        // A synchronously typed call enters in any case.
        Some(LiftKind::Stackful) | None => false,
    }
}

impl Tasks<'_> {
    /// How a task was lifted; `None` for a synchronously typed call.
    pub(crate) fn lift(self, call: CallId) -> Option<LiftKind> {
        self.pool()[call].lift
    }

    /// Whether a task holds the lock while its core code runs.
    pub(crate) fn needs_lock(self, call: CallId) -> bool {
        needs_lock(self.lift(call))
    }

    /// Whether nobody has an instance's lock.
    pub(crate) fn lock_is_free(self, instance: ComponentInstanceId) -> bool {
        self.gate(instance).lock.get().is_none()
    }

    /// Whether a new task that was lifted like this would have to wait, since something keeps it
    /// from entering or others were there before.
    fn keeps_out(self, instance: ComponentInstanceId, lift: Option<LiftKind>) -> bool {
        let gate = self.gate(instance);
        gate.entering.get() > 0
            || gate.backpressure.get() > 0
            || (needs_lock(lift) && !self.lock_is_free(instance))
    }

    /// Whether a new task has to wait to enter.
    pub(crate) fn must_wait_to_enter(self, call: CallId) -> bool {
        self.keeps_out(self.pool()[call].instance, self.lift(call))
    }

    /// Whether a new call of a task would have to wait to enter.
    pub(crate) fn would_wait_to_enter(self, task: TaskId) -> bool {
        let task = &self.plan().tasks[task];
        self.keeps_out(task.instance, task.lift)
    }

    /// Lets a new task wait to enter.
    pub(crate) fn wait_to_enter(self, call: CallId) {
        let record = &self.pool()[call];
        let entering = &self.gate(record.instance).entering;
        entering.set(entering.get() + 1);
        record.wait.set(Wait::Entry);
        self.wake(call);
    }

    /// A task that waited to enter does not wait any more.
    pub(crate) fn stop_entering(self, call: CallId) {
        let entering = &self.gate(self.pool()[call].instance).entering;
        entering.set(entering.get() - 1);
    }

    /// Gives a task the lock, if it needs it.
    pub(crate) fn take_lock(self, call: CallId) {
        if self.needs_lock(call) {
            let lock = &self.gate(self.pool()[call].instance).lock;
            debug_assert_eq!(lock.get(), None);
            lock.set(Some(call));
        }
    }

    /// Takes the lock from a task, if it has it, and gives somebody else the turn.
    pub(crate) fn release_lock(self, call: CallId) {
        let instance = self.pool()[call].instance;
        let lock = &self.gate(instance).lock;
        if lock.get() == Some(call) {
            lock.set(None);
            self.serve_lock(instance);
        }
    }

    /// If the lock is free, the first of those that lack only that becomes ready. It has the turn,
    /// not the lock; if it leaves without it, this is to be called again.
    #[inline]
    pub(crate) fn serve_lock(self, instance: ComponentInstanceId) {
        if self.gate(instance).locked.first().is_some() {
            self.serve_lock_to(instance);
        }
    }

    fn serve_lock_to(self, instance: ComponentInstanceId) {
        let gate = self.gate(instance);
        while gate.lock.get().is_none()
            && let Some(call) = gate.locked.first()
        {
            self.dequeue(call);
            self.wake(call);
            if self.pool()[call].queued.get() == Queued::Ready {
                break;
            }
        }
    }

    /// `backpressure.inc`.
    pub(crate) fn backpressure_inc(self, instance: u32) -> Result<(), Fault> {
        let count = &self.gate(ComponentInstanceId(instance)).backpressure;
        if count.get() == MOST_BACKPRESSURE {
            return Err(TrapCode::BackpressureOverflow.into());
        }
        count.set(count.get() + 1);
        Ok(())
    }

    /// `backpressure.dec`.
    pub(crate) fn backpressure_dec(self, instance: u32) -> Result<(), Fault> {
        let gate = self.gate(ComponentInstanceId(instance));
        let Some(less) = gate.backpressure.get().checked_sub(1) else {
            return Err(TrapCode::BackpressureUnderflow.into());
        };
        gate.backpressure.set(less);
        if less == 0 {
            while let Some(call) = gate.held.first() {
                self.dequeue(call);
                self.wake(call);
            }
        }
        Ok(())
    }

    /// Whether a task has begun: one that waits to enter is no thread of its instance.
    pub(crate) fn has_entered(self, call: CallId) -> bool {
        self.pool()[call].state.get() != TaskState::Initial
    }
}
