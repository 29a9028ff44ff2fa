//! What a task runs on a stack: its core function, or one call after the other of its callback,
//! until it waits or exits.
//!
//! A callback that waits has no stack: what it needs is in its record, and it goes on on another
//! one.

use crate::concurrent::records::{Call, CallId, TaskState, Thread, Wait};
use crate::concurrent::state::{Fault, Tasks};
use crate::concurrent::switch::Ending;
use crate::concurrent::waitables::Event;
use trampette_artifact::layout::InstanceCells;
use trampette_artifact::tasks::{LiftKind, SubtaskState};
use trampette_artifact::trap::TrapCode;

/// What a core function or callback says it wants, in the low four bits (`CallbackCode`).
const EXIT: u32 = 0;
const YIELD: u32 = 1;
const WAIT: u32 = 2;
/// Where the index of the set begins.
const SET_SHIFT: u32 = 4;

/// The function at the base of a task's stack. The argument is the address of its [`Call`].
///
/// # Safety
/// It is called on the task's stack, and the task has not exited.
pub(crate) unsafe extern "C" fn task_base(argument: u64) -> Ending {
    let record = std::ptr::with_exposed_provenance::<Call>(argument as usize);
    // SAFETY: the record is in use, and instances live as long as their store.
    let (instance, call) = unsafe { (&*(*record).data, (*(*record).head()).number) };
    let done = match (Tasks::of(instance), CallId::from_number(call)) {
        (Ok(tasks), Some(call)) => tasks.go_on(call),
        (Err(code), _) => Err(code.into()),
        (_, None) => Err(TrapCode::RecordsFull.into()),
    };
    match done {
        Ok(()) => Ending::Finished,
        Err(fault) => {
            if let Fault::Trap(code, payload) = fault {
                instance.store().trap.record_here(code, payload);
            }
            Ending::Trapped
        }
    }
}

/// What a callback does after it has returned.
enum Next {
    /// It is called again, with an event.
    CallBack(Event),
    /// It waits.
    Park,
    /// The task is over.
    Exit,
}

impl Tasks<'_> {
    /// Runs a task that begins, or a callback whose wait is over, until it waits or exits.
    pub(crate) fn go_on(self, call: CallId) -> Result<(), Fault> {
        let record = &self.pool()[call];
        if let Thread::Explicit { .. } = record.thread {
            return self.run_thread(call, record);
        }
        let mut next = match record.went_on_from.get() {
            from @ (Wait::CallbackYield | Wait::CallbackSet(_)) => {
                self.take_lock(call);
                self.restore_slots(call);
                Next::CallBack(self.event_of(call, from))
            }
            _ => self.begin(call)?,
        };
        loop {
            match next {
                Next::CallBack(event) => next = self.call_back(call, event)?,
                Next::Exit => return self.exit(call),
                Next::Park => {
                    self.pool()[call].stack.set(None);
                    return Ok(());
                }
            }
        }
    }

    /// What a callback is told that has waited.
    fn event_of(self, call: CallId, from: Wait) -> Event {
        if self.deliver_pending_cancel(call) {
            if let Wait::CallbackSet(set) = from {
                // It leaves without the event for which it perhaps was woken.
                self.serve_set(set);
            }
            return Event::TASK_CANCELLED;
        }
        match from {
            Wait::CallbackSet(set) => self.take_event_of_set(set),
            _ => Event::NONE,
        }
    }

    /// Enters the instance and calls the core function.
    fn begin(self, call: CallId) -> Result<Next, Fault> {
        let record = &self.pool()[call];
        self.take_lock(call);
        self.register_thread(call);
        record.state.set(TaskState::Started);
        self.set_subtask(call, SubtaskState::Started);
        self.restore_slots(call);
        let body = self.code(call).body.ok_or(TrapCode::RecordsFull)?;
        // SAFETY: the code of this task's body, called once, with its record.
        let status = unsafe { body.call(self.instance.context(), record.head()) };
        match (status, self.lift(call)) {
            (0, Some(LiftKind::Callback)) => self.returned(call),
            (0, _) => Ok(Next::Exit),
            _ => Err(Fault::Again),
        }
    }

    /// Calls the callback.
    fn call_back(self, call: CallId, event: Event) -> Result<Next, Fault> {
        let record = &self.pool()[call];
        let callback = self.code(call).callback.ok_or(TrapCode::RecordsFull)?;
        // SAFETY: the code of this task's callback, with its record.
        let status = unsafe {
            let context = self.instance.context();
            callback.call(
                context,
                record.head(),
                event.code,
                event.first,
                event.second,
            )
        };
        match status {
            0 => self.returned(call),
            _ => Err(Fault::Again),
        }
    }

    /// The core function or the callback of a task has returned.
    fn returned(self, call: CallId) -> Result<Next, Fault> {
        let record = &self.pool()[call];
        // SAFETY: the record's own head; compiled code wrote the code there.
        let packed = unsafe { (*record.head()).code };
        let code = packed & ((1 << SET_SHIFT) - 1);
        match code {
            EXIT => return Ok(Next::Exit),
            YIELD | WAIT => {}
            _ => return Err(TrapCode::CallbackCode.into()),
        }
        if self.deliver_pending_cancel(call) {
            return Ok(Next::CallBack(Event::TASK_CANCELLED));
        }
        let wait = match code {
            WAIT => Wait::CallbackSet(self.set(record.instance, packed >> SET_SHIFT)?),
            _ => Wait::CallbackYield,
        };
        // Others go first who lack only the lock.
        self.release_lock(call);
        let goes_on = match wait {
            Wait::CallbackSet(set) => self.has_event(set),
            _ => true,
        };
        if goes_on && self.takes_yield() {
            self.take_lock(call);
            return Ok(Next::CallBack(self.event_of(call, wait)));
        }
        self.keep_slots(call);
        self.start_waiting(call, wait);
        Ok(Next::Park)
    }

    /// The task's implicit thread is over.
    fn exit(self, call: CallId) -> Result<(), Fault> {
        self.pool()[call].stack.set(None);
        self.release_lock(call);
        self.end_thread(call)
    }

    /// Makes a thread's task the one that runs in its instance, with the thread's context slots.
    pub(crate) fn restore_slots(self, thread: CallId) {
        let record = &self.pool()[thread];
        let task = self.pool()[self.task_of(thread)].head();
        let cells = InstanceCells {
            task: task.expose_provenance() as u64,
            slots: record.slots.get(),
        };
        // SAFETY: the root is mapped, and the task's stack is active.
        unsafe { self.cells(record.instance).write(cells) };
    }

    /// Keeps the task's context slots while it has no stack.
    fn keep_slots(self, call: CallId) {
        let record = &self.pool()[call];
        // SAFETY: the root is mapped, and the task's stack is active.
        record
            .slots
            .set(unsafe { self.cells(record.instance).read() }.slots);
    }
}
