//! Cancellation: `subtask.cancel`, `task.cancel`.
//!
//! A task that has not entered its instance is cancelled at once. A later request waits until the
//! task's callback can be told: one that is parked is called at once if the lock is free, and with
//! the canceller waiting for it; one that sleeps is called as soon as it would. Tasks without a
//! callback are not told. A host function's future is dropped.

use crate::concurrent::records::{CallId, Holder, TaskState, Thread, Wait};
use crate::concurrent::scheduler::Resumer;
use crate::concurrent::state::{Fault, Tasks};
use crate::machine::reactor::FutureId;
use trampette_artifact::ids::ComponentInstanceId;
use trampette_artifact::tasks::SubtaskState;
use trampette_artifact::trap::TrapCode;

/// What `subtask.cancel` answers if it is not yet known how the subtask ends.
const BLOCKED: u32 = u32::MAX;

/// What a request for cancellation has to do now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Request {
    /// The task was never started, and is over.
    Over,
    /// It is over, and the host's future is to be dropped.
    Drop(FutureId),
    /// Its callback is to be called.
    CallBack,
    /// It is told later, or never.
    Noted,
}

impl Tasks<'_> {
    /// Notes a request for the cancellation of a call that is not resolved. This alone decides who
    /// goes on at once: none but the cancelled task itself, which the specification snapshot leaves
    /// open and its successor settles.
    fn resume_now(self, call: CallId) -> Request {
        let record = &self.pool()[call];
        if let Thread::Host { future, .. } = record.thread {
            self.stop_waiting(call);
            record.state.set(TaskState::Resolved);
            self.set_subtask(call, SubtaskState::CancelledBeforeReturned);
            return Request::Drop(future);
        }
        if record.state.get() == TaskState::Initial {
            self.stop_waiting(call);
            // It may have had the turn.
            self.serve_lock(record.instance);
            record.state.set(TaskState::Resolved);
            self.set_subtask(call, SubtaskState::CancelledBeforeStarted);
            return Request::Over;
        }
        record.state.set(TaskState::PendingCancel);
        match record.wait.get() {
            Wait::CallbackYield | Wait::CallbackSet(_) => {}
            _ => return Request::Noted,
        }
        if self.lock_is_free(record.instance) {
            return Request::CallBack;
        }
        // Its turn comes with the lock.
        self.dequeue(call);
        self.wake(call);
        Request::Noted
    }

    /// Asks a call that is not resolved to cancel.
    ///
    /// # Errors
    /// If its callback is called, and traps.
    pub(crate) fn request_cancellation(self, call: CallId) -> Result<(), Fault> {
        match self.resume_now(call) {
            Request::Over => {
                self.leave(call, Holder::Task);
                Ok(())
            }
            Request::Drop(future) => {
                self.leave(call, Holder::Task);
                self.drop_host_future(future)
            }
            Request::CallBack => self.run(call, Resumer::Guest),
            Request::Noted => Ok(()),
        }
    }

    /// If a task's cancellation was asked for and it was not told: it is from now on.
    pub(crate) fn deliver_pending_cancel(self, call: CallId) -> bool {
        let state = &self.pool()[call].state;
        let pending = state.get() == TaskState::PendingCancel;
        if pending {
            state.set(TaskState::CancelDelivered);
        }
        pending
    }

    /// `subtask.cancel`.
    pub(crate) fn subtask_cancel(
        self,
        instance: u32,
        handle: u32,
        is_async: u32,
    ) -> Result<u32, Fault> {
        let call = self.subtask(ComponentInstanceId(instance), handle)?;
        let record = &self.pool()[call];
        if record.delivered.get() {
            return Err(TrapCode::SubtaskDelivered.into());
        }
        if record.cancel_requested.get() {
            return Err(TrapCode::SubtaskCancelledTwice.into());
        }
        if record.waitable.set.get().is_some() {
            return Err(TrapCode::WaitableInSet.into());
        }
        if !record.is_resolved() {
            record.cancel_requested.set(true);
            record.waitable.sync_waiter.set(true);
            self.request_cancellation(call)?;
            if is_async == 0 {
                self.block(Wait::Resolution(call))?;
            }
            let record = &self.pool()[call];
            record.waitable.sync_waiter.set(false);
            if !record.is_resolved() {
                return Ok(BLOCKED);
            }
        }
        Ok(self.take_event(call.into()).second)
    }

    /// `task.cancel`.
    pub(crate) fn task_cancel(self, instance: u32) -> Result<(), Fault> {
        let call = self.current_async(ComponentInstanceId(instance))?;
        let record = &self.pool()[call];
        match record.state.get() {
            TaskState::CancelDelivered => {}
            TaskState::Resolved => return Err(TrapCode::TaskResolvedTwice.into()),
            _ => return Err(TrapCode::TaskNotCancelled.into()),
        }
        if record.borrows() > 0 {
            return Err(TrapCode::BorrowsRemain.into());
        }
        record.state.set(TaskState::Resolved);
        self.set_subtask(call, SubtaskState::CancelledBeforeReturned);
        Ok(())
    }
}
