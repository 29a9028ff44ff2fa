//! Cooperative threads: the table by which threads of an instance name each other, and the
//! built-ins that make, suspend and resume them.
//!
//! An explicit thread is a record like that of a call, with a stack of its own when it runs, whose
//! task is another record. The thread of a synchronously typed call is in place, on the stack of
//! its caller: others can suspend in its favour only by giving control back to that stack.

use crate::concurrent::records::{Call, CallId, Holder, TaskState, Thread, Wait};
use crate::concurrent::state::{Fault, Tasks};
use crate::machine::entry_code::ThreadEntry;
use std::cell::RefCell;
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::ComponentInstanceId;
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::tasks::{TaskRecord, ThreadOperation};
use trampette_artifact::trap::TrapCode;

/// The threads of a component instance that have an index. Index 0 is never handed out.
#[derive(Default)]
pub(crate) struct ThreadTable(RefCell<Entries>);

#[derive(Default)]
struct Entries {
    threads: Vec<Option<CallId>>,
    free: Vec<u32>,
}

impl ThreadTable {
    fn add(&self, thread: CallId) -> u32 {
        let mut entries = self.0.borrow_mut();
        if let Some(index) = entries.free.pop() {
            entries.threads[index as usize - 1] = Some(thread);
            return index;
        }
        entries.threads.push(Some(thread));
        // Threads are limited.
        entries.threads.len() as u32
    }

    fn remove(&self, index: u32) {
        let mut entries = self.0.borrow_mut();
        entries.threads[index as usize - 1] = None;
        entries.free.push(index);
    }

    fn get(&self, index: u32) -> Option<CallId> {
        let entries = self.0.borrow();
        *entries.threads.get((index as usize).checked_sub(1)?)?
    }
}

impl Tasks<'_> {
    /// The thread that runs in an instance, on the active stack.
    ///
    /// # Errors
    /// If nothing could name it.
    pub(crate) fn current_thread(self, instance: ComponentInstanceId) -> Result<CallId, Fault> {
        let cannot = Fault::from(TrapCode::CannotBlock);
        if self.barrier().is_none() {
            return self.running().ok_or(cannot);
        }
        // SAFETY: the root is mapped.
        let task = unsafe { self.cells(instance).read() }.task;
        let head = std::ptr::with_exposed_provenance::<TaskRecord>(task as usize);
        // SAFETY: the cell holds the address of the record of a call that runs, or 0.
        let number = unsafe { head.as_ref() }.map_or(0, |head| head.number);
        CallId::from_number(number).ok_or(cannot)
    }

    /// The task of a thread.
    pub(crate) fn task_of(self, thread: CallId) -> CallId {
        match self.pool()[thread].thread {
            Thread::Explicit { task, .. } => task,
            Thread::Implicit | Thread::InPlace | Thread::Host { .. } => thread,
        }
    }

    fn index_of(self, thread: CallId) -> u32 {
        let record = &self.pool()[thread];
        if record.index.get() == 0 {
            let index = self.gate(record.instance).threads.add(thread);
            record.index.set(index);
        }
        record.index.get()
    }

    /// A thread enters its instance, and gets the next index. Where threads name each other, no
    /// task runs in its caller's place: so those that do need none.
    pub(crate) fn register_thread(self, thread: CallId) {
        if !self.runs_in_place(thread) {
            self.index_of(thread);
        }
    }

    /// A thread is over: its index is free, and its task has one thread less. The task ends with
    /// its last one.
    ///
    /// # Errors
    /// If the task has no result then.
    pub(crate) fn end_thread(self, thread: CallId) -> Result<(), Fault> {
        let record = &self.pool()[thread];
        let index = record.index.replace(0);
        if index != 0 {
            self.gate(record.instance).threads.remove(index);
        }
        let task = self.task_of(thread);
        let threads = &self.pool()[task].threads;
        threads.set(threads.get() - 1);
        let is_over = threads.get() == 0;
        if is_over && self.pool()[task].state.get() != TaskState::Resolved {
            return Err(TrapCode::NoResult.into());
        }
        if thread != task {
            self.leave(thread, Holder::Task);
            self.leave(thread, Holder::Caller);
        }
        if is_over {
            self.leave(task, Holder::Task);
        }
        Ok(())
    }

    /// Runs an explicit thread from its beginning to its end.
    pub(crate) fn run_thread(self, thread: CallId, record: &Call) -> Result<(), Fault> {
        let Thread::Explicit {
            function,
            argument,
            width,
            ..
        } = record.thread
        else {
            return Err(TrapCode::RecordsFull.into());
        };
        let key = FuncKey::ThreadStart(Abi::Native, width);
        let code = self.instance.component.function_address(key);
        let code = code.and_then(ThreadEntry::at);
        let code = code.ok_or(TrapCode::RecordsFull)?;
        self.restore_slots(thread);
        // SAFETY: compiled code has found the function, of this type.
        let status = unsafe { code.call(self.instance.context(), function, argument) };
        if status != 0 {
            return Err(Fault::Again);
        }
        self.pool()[thread].stack.set(None);
        self.end_thread(thread)
    }

    /// `thread.index`.
    pub(crate) fn thread_index(self, instance: u32) -> Result<u32, Fault> {
        let thread = self.current_thread(ComponentInstanceId(instance))?;
        Ok(self.index_of(thread))
    }

    /// `thread.new-indirect`, of a function that was looked up.
    pub(crate) fn thread_new(
        self,
        instance: u32,
        function: u32,
        argument: u64,
        is_wide: u32,
    ) -> Result<u32, Fault> {
        let instance = ComponentInstanceId(instance);
        let task = self.task_of(self.current_thread(instance)?);
        let width = match is_wide {
            0 => PointerWidth::P32,
            _ => PointerWidth::P64,
        };
        let thread = Thread::Explicit {
            task,
            function,
            argument,
            width,
        };
        let thread = self.new_call(None, instance, thread, 0, 0)?;
        let record = &self.pool()[thread];
        record.state.set(TaskState::Started);
        record.wait.set(Wait::Suspended);
        let threads = &self.pool()[task].threads;
        threads.set(threads.get() + 1);
        Ok(self.index_of(thread))
    }

    /// `thread.suspend`, `thread.resume-later` and what switches to another thread.
    pub(crate) fn thread_operate(
        self,
        instance: u32,
        index: u32,
        operation: u32,
    ) -> Result<(), Fault> {
        let instance = ComponentInstanceId(instance);
        let operation = ThreadOperation::ALL.get(operation as usize);
        let operation = *operation.ok_or(TrapCode::RecordsFull)?;
        if operation == ThreadOperation::Suspend {
            return self.block(Wait::Suspended);
        }
        let other = self.gate(instance).threads.get(index);
        let other = other.ok_or(Fault::Trap(TrapCode::UnknownThread, index.into()))?;
        let record = &self.pool()[other];
        let wait = match operation {
            ThreadOperation::SuspendThenResume | ThreadOperation::SuspendThenPromote => {
                Wait::Suspended
            }
            _ => Wait::Yield,
        };
        let promotes = matches!(
            operation,
            ThreadOperation::SuspendThenPromote | ThreadOperation::YieldThenPromote
        );
        if promotes {
            if self.current_thread(instance) == Ok(other) {
                return Err(TrapCode::ThreadNotSuspended.into());
            }
            if !self.is_ready(other) {
                return self.block(wait);
            }
        } else {
            if record.wait.get() != Wait::Suspended {
                return Err(TrapCode::ThreadNotSuspended.into());
            }
            record.wait.set(Wait::Resumed);
        }
        match operation {
            ThreadOperation::ResumeLater => {
                self.wake(self.stack_of(other));
                Ok(())
            }
            _ => self.switch_to(wait, self.stack_of(other)),
        }
    }

    /// Who is to be run for a thread to go on: itself, or, of one in place whose whole stack waits,
    /// the thread that the stack belongs to.
    fn stack_of(self, thread: CallId) -> CallId {
        let record = &self.pool()[thread];
        let base = CallId::from_number(record.base.get());
        match (record.thread, base) {
            (Thread::InPlace, Some(base))
                if self.pool()[base].wait.get() == Wait::Inner(thread) =>
            {
                base
            }
            _ => thread,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_that_was_freed_last_comes_first() {
        let table = ThreadTable::default();
        let thread = |number| CallId::from_number(number).unwrap();
        let all = [1, 5, 9].map(|number| table.add(thread(number)));
        assert_eq!(all, [1, 2, 3]);
        table.remove(1);
        table.remove(2);
        assert_eq!(table.get(2), None);
        assert_eq!(table.add(thread(13)), 2);
        assert_eq!(table.get(2), Some(thread(13)));
        assert_eq!([table.get(0), table.get(4)], [None, None]);
    }
}
