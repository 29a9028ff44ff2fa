//! Calls that are tasks, seen from the caller: making the task, waiting for it or going on with a
//! subtask, its result; and the records of other synchronously typed calls, that lend handles.

use crate::concurrent::driven::{Answer, Ending};
use crate::concurrent::records::{Call, CallId, Holder, Kind, NewCall, TaskState, Thread, Wait};
use crate::concurrent::scheduler::Resumer;
use crate::concurrent::state::{Fault, Tasks};
use crate::machine::failure;
use std::convert::identity;
use trampette_artifact::canonical::MAX_FLAT_ASYNC_PARAMS;
use trampette_artifact::ids::{ComponentInstanceId, TaskId};
use trampette_artifact::layout::{HOST_OK, HandleEntry};
use trampette_artifact::tasks::{CallMode, CallShape, LiftKind, SubtaskState, TaskRecord};
use trampette_artifact::trap::TrapCode;

/// Where the handle begins in what a caller gets that goes on.
const SUBTASK_SHIFT: u32 = 4;

/// The call of a record that compiled code has.
///
/// # Safety
/// It is the head of the record of a call that is not over.
unsafe fn call_of(record: *const TaskRecord) -> Result<CallId, Fault> {
    // SAFETY: promised.
    let number = unsafe { (*record).number };
    CallId::from_number(number).ok_or(TrapCode::RecordsFull.into())
}

impl Tasks<'_> {
    /// A call that has not started.
    pub(crate) fn new_call(
        self,
        entry: Option<TaskId>,
        instance: ComponentInstanceId,
        thread: Thread,
        params: u64,
        results: u64,
    ) -> Result<CallId, Fault> {
        self.count(Kind::Call)?;
        let plan = entry.map(|entry| &self.plan().tasks[entry]);
        let call = self.pool().add_call(NewCall {
            data: self.instance,
            entry,
            lift: plan.and_then(|plan| plan.lift),
            shape: plan.map_or(CallShape::OnStack, |plan| plan.shape),
            instance,
            thread,
            params,
            results,
        });
        Ok(call.inspect_err(|_| self.uncount(Kind::Call))?)
    }

    /// A new task, whose caller waits or goes on. `params` is where the parameters are.
    pub(crate) fn new_task(self, task: TaskId, params: u64, results: u64) -> Result<CallId, Fault> {
        let instance = self.plan().tasks[task].instance;
        self.new_call(Some(task), instance, Thread::Implicit, params, results)
    }

    /// Somebody does not need a call's record any more.
    pub(crate) fn leave(self, call: CallId, holder: Holder) {
        if self.pool().leave_call(call, holder) {
            self.uncount(Kind::Call);
            // Of a caller that did not wait for the result.
            self.end_lends(call);
            self.tell_exit(call);
        }
    }

    /// Starts a task, if nothing keeps it from entering; else it waits for that. A call of a
    /// synchronous type is over then.
    ///
    /// # Errors
    /// If it traps.
    pub(crate) fn start(self, call: CallId, resumer: Resumer) -> Result<(), Fault> {
        if self.lift(call).is_none() {
            self.run(call, Resumer::Guest)?;
            return self.let_others_complete(call);
        }
        if self.must_wait_to_enter(call) {
            self.wait_to_enter(call);
            return Ok(());
        }
        if self.runs_in_place(call) {
            // Others yield in no way.
            if self.lift(call) == Some(LiftKind::Callback) {
                self.allow_yields(resumer);
            }
            return self.go_on_in_place(call);
        }
        self.run(call, resumer)
    }

    /// The `task-call` builtin.
    pub(crate) fn task_call(
        self,
        task: u32,
        params: u64,
        results: u64,
        mode: u32,
    ) -> Result<u64, Fault> {
        let task = TaskId(task);
        let call = self.new_task(task, params, results)?;
        let goes_on = mode == CallMode::GoesOn as u32;
        if goes_on {
            self.keep_params(call, task, params);
        }
        self.start(call, Resumer::Guest)?;
        if !goes_on {
            self.block(Wait::Resolution(call))?;
        }
        let record = &self.pool()[call];
        if record.is_resolved() {
            let state = self.deliver_subtask(call);
            self.leave(call, Holder::Caller);
            return Ok(match goes_on {
                true => state.into(),
                false => 0,
            });
        }
        let caller = self.plan().tasks[task].caller;
        let caller = caller.ok_or(TrapCode::RecordsFull)?;
        Ok(self.hand_out_subtask(call, caller)?.into())
    }

    /// Gives a caller that goes on the handle of its subtask, together with its state.
    pub(crate) fn hand_out_subtask(
        self,
        call: CallId,
        caller: ComponentInstanceId,
    ) -> Result<u32, Fault> {
        let record = &self.pool()[call];
        let handle = self.add_handle(caller, HandleEntry::SUBTASK, call.number())?;
        record.waitable.handle.set(handle);
        Ok(record.subtask.get() as u32 | handle << SUBTASK_SHIFT)
    }

    /// Copies the flat parameters of a caller that goes on.
    fn keep_params(self, call: CallId, task: TaskId, params: u64) {
        let record = &self.pool()[call];
        let count = self.plan().tasks[task].async_params as usize;
        let from = std::ptr::with_exposed_provenance::<u64>(params as usize);
        let mut flat = [0; MAX_FLAT_ASYNC_PARAMS];
        for (index, value) in flat.iter_mut().enumerate().take(count) {
            // SAFETY: compiled code passes so many slots.
            *value = unsafe { from.add(index).read() };
        }
        record.flat.set(flat);
        let kept = record.flat.as_ptr().expose_provenance() as u64;
        // SAFETY: the record's own head.
        unsafe { (*record.head()).params = kept };
    }

    /// A caller gets to know that its call is started or resolved; gives the state of the subtask.
    pub(crate) fn deliver_subtask(self, call: CallId) -> u32 {
        let record = &self.pool()[call];
        if record.is_resolved() {
            record.delivered.set(true);
            self.end_lends(call);
        }
        record.subtask.get() as u32
    }

    /// The state of a subtask changes; its caller is told if it has a handle or waits.
    pub(crate) fn set_subtask(self, call: CallId, state: SubtaskState) {
        let record = &self.pool()[call];
        record.subtask.set(state);
        if record.waitable.handle.get() != 0 {
            self.notify(call.into());
        } else if let Some(waiter) = record.waitable.waiter.get() {
            self.wake(waiter);
        } else if record.is_resolved() {
            // The host has what it waits for.
            self.instance.set_yields(0);
            self.answer_host(call);
        }
    }

    /// Tests that a task may give its result now.
    fn check_return(self, record: &Call) -> Result<(), Fault> {
        if record.state.get() == TaskState::Resolved {
            return Err(TrapCode::TaskResolvedTwice.into());
        }
        if record.borrows() > 0 {
            return Err(TrapCode::BorrowsRemain.into());
        }
        Ok(())
    }

    /// A task has given its result.
    fn resolve(self, call: CallId) {
        self.pool()[call].state.set(TaskState::Resolved);
        self.set_subtask(call, SubtaskState::Returned);
    }

    /// The task that runs in a component instance, if it was lifted with `async`.
    pub(crate) fn current_async(self, instance: ComponentInstanceId) -> Result<CallId, Fault> {
        let mismatch = Fault::from(TrapCode::TaskReturnMismatch);
        // SAFETY: the root is mapped.
        let task = unsafe { self.cells(instance).read() }.task;
        let head = std::ptr::with_exposed_provenance::<TaskRecord>(task as usize);
        if head.is_null() {
            return Err(mismatch);
        }
        // SAFETY: the cell holds the address of the record of a task that runs.
        let call = unsafe { call_of(head) }?;
        match self.lift(call) {
            Some(LiftKind::Stackful | LiftKind::Callback) => Ok(call),
            Some(LiftKind::Synchronous) | None => Err(mismatch),
        }
    }

    /// `task.return`.
    pub(crate) fn task_return(self, class: u32, instance: u32, values: u64) -> Result<(), Fault> {
        let call = self.current_async(ComponentInstanceId(instance))?;
        let record = &self.pool()[call];
        let task = record.entry.ok_or(TrapCode::TaskReturnMismatch)?;
        if self.plan().tasks[task].return_class != class {
            return Err(TrapCode::TaskReturnMismatch.into());
        }
        self.check_return(record)?;
        let result = self.code(call).result;
        let result = result.ok_or(TrapCode::TaskReturnMismatch)?;
        let values = std::ptr::with_exposed_provenance(values as usize);
        // SAFETY: the code of this task, which gets the flat values that `task.return` was given,
        // of the type that the classes agree on.
        let status = unsafe { result.call(self.instance.context(), record.head(), values) };
        if status != 0 {
            return Err(Fault::Again);
        }
        self.resolve(call);
        Ok(())
    }

    /// The `task-resolve` builtin: the result of a task with a synchronous lift has been moved.
    pub(crate) fn task_resolve(self, record: u64) -> Result<(), Fault> {
        let head = std::ptr::with_exposed_provenance::<TaskRecord>(record as usize);
        // SAFETY: compiled code passes the task that it runs.
        let call = unsafe { call_of(head) }?;
        self.check_return(&self.pool()[call])?;
        self.resolve(call);
        Ok(())
    }

    /// The `task-host-result` builtin: hands a result to the host's call, if it still waits.
    pub(crate) fn task_host_result(self, record: u64, native: u64) -> Result<(), Fault> {
        let head = std::ptr::with_exposed_provenance::<TaskRecord>(record as usize);
        // SAFETY: compiled code passes the task that it runs.
        let call = unsafe { call_of(head) }?;
        let Some(place) = self.pool()[call].driven.get() else {
            return Ok(());
        };
        let native = std::ptr::with_exposed_provenance(native as usize);
        let store = self.store();
        let taken = match self.driven.sink(place) {
            // SAFETY: sinks are valid while their calls are driven, and called once.
            Some(sink) => failure::contain(store, identity, || unsafe { (*sink.as_ptr())(native) }),
            None => {
                // Taken out, since it may do anything.
                let Some(mut driven) = self.take_driven(call) else {
                    return Ok(());
                };
                let taken = failure::contain(store, identity, || match &mut driven.answer {
                    Answer::Sink(_) => Ok(()),
                    Answer::Future(asked) => asked.take(store, native),
                });
                self.drive_again(driven);
                taken
            }
        };
        match taken {
            HOST_OK => Ok(()),
            _ => Err(TrapCode::HostError.into()),
        }
    }

    /// If a future of the host's waits for a call, which is resolved: tells it.
    fn answer_host(self, call: CallId) {
        let place = self.pool()[call].driven.get();
        if !place.is_some_and(|place| self.driven.is_awaited(place)) {
            return;
        }
        let Some(driven) = self.take_driven(call) else {
            return;
        };
        let ending = match self.pool()[call].subtask.get() {
            SubtaskState::Returned => Ending::Returned,
            _ => Ending::Cancelled,
        };
        if let Answer::Future(asked) = driven.answer {
            asked.end(ending);
        }
        self.deliver_subtask(call);
        self.leave(call, Holder::Caller);
    }

    /// `subtask.drop`.
    pub(crate) fn subtask_drop(self, instance: u32, handle: u32) -> Result<(), Fault> {
        let instance = ComponentInstanceId(instance);
        let call = self.subtask(instance, handle)?;
        if !self.pool()[call].delivered.get() {
            return Err(TrapCode::SubtaskUnresolved.into());
        }
        self.free_handle(instance, handle);
        self.drop_waitable(call.into());
        self.leave(call, Holder::Caller);
        Ok(())
    }

    /// The `call-begin` builtin.
    pub(crate) fn call_begin(self, instance: u32) -> Result<u64, Fault> {
        let instance = ComponentInstanceId(instance);
        let call = self.new_call(None, instance, Thread::InPlace, 0, 0)?;
        let record = &self.pool()[call];
        record.state.set(TaskState::Started);
        let base = self.running().map_or(0, CallId::number);
        record.base.set(base);
        self.register_thread(call);
        Ok(record.head().expose_provenance() as u64)
    }

    /// The `call-end` builtin.
    pub(crate) fn call_end(self, record: u64) -> Result<(), Fault> {
        let head = std::ptr::with_exposed_provenance::<TaskRecord>(record as usize);
        // SAFETY: compiled code passes what `call-begin` gave.
        let call = unsafe { call_of(head) }?;
        if self.pool()[call].borrows() > 0 {
            return Err(TrapCode::BorrowsRemain.into());
        }
        self.end_lends(call);
        self.pool()[call].state.set(TaskState::Resolved);
        self.leave(call, Holder::Caller);
        self.end_thread(call)
    }

    /// The `call-lends` builtin.
    pub(crate) fn call_lends(self, record: u64, mark: u64) -> Result<(), Fault> {
        let head = std::ptr::with_exposed_provenance::<TaskRecord>(record as usize);
        // SAFETY: compiled code passes the call or task that it begins.
        let call = unsafe { call_of(head) }?;
        self.add_lends(call, mark);
        Ok(())
    }

    /// Makes the lends since a mark those of a call.
    pub(crate) fn add_lends(self, call: CallId, mark: u64) {
        let lends = self.store().take_lends(mark as usize);
        if !lends.is_empty() {
            let mut all = self.lends.borrow_mut();
            all.entry(call).or_default().extend(lends);
        }
    }

    /// The `borrow-drop` builtin.
    pub(crate) fn borrow_drop(self, number: u32) -> Result<(), Fault> {
        let call = CallId::from_number(number).ok_or(TrapCode::RecordsFull)?;
        let head = self.pool()[call].head();
        // SAFETY: a call lives while borrowed handles name it: it cannot end before.
        unsafe { (*head).borrows = (*head).borrows.saturating_sub(1) };
        Ok(())
    }
}
