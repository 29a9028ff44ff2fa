//! What holds between the steps of every run, whatever the script.

use crate::machine::{Frame, Model, Stage};
use crate::state::{Condition, EndId, EndState, Handle, InstanceId, Status, TaskState, ThreadId};

/// Fails with the message unless the rule holds.
macro_rules! expect {
    ($fine:expr, $($message:tt)+) => {
        if !$fine {
            return Err(format!($($message)+));
        }
    };
}

impl Model {
    /// Says what is wrong with the state, if anything is. It may be called whenever
    /// [`Model::run`] pauses; after a trap, nothing holds any more.
    pub fn check(&self) -> Result<(), String> {
        self.check_threads()?;
        self.check_instances()?;
        self.check_sets()?;
        (0..self.ends.len() as u32)
            .map(EndId)
            .try_for_each(|end| self.check_end(end))
    }

    fn check_threads(&self) -> Result<(), String> {
        for (number, thread) in self.threads.iter().enumerate() {
            let id = ThreadId(number as u32);
            let running = self.chain.iter().filter(|other| **other == id).count();
            let (label, status) = (thread.label, thread.status);
            expect!(
                (running == 1) == (status == Status::Running),
                "{label} is {status:?}, and {running} times on the chain"
            );
            expect!(
                thread.frames.is_empty() == (status == Status::Ended) || running == 1,
                "{label} is {status:?} with {:?}",
                thread.frames
            );
        }
        for (number, task) in self.tasks.iter().enumerate() {
            let over = task.threads.is_empty() && task.state != TaskState::Initial;
            let entered =
                task.state != TaskState::PendingCancel && task.state != TaskState::CancelDelivered;
            expect!(
                !over || !entered || task.state == TaskState::Resolved,
                "t{number} has no thread, and is {:?}",
                task.state
            );
        }
        Ok(())
    }

    fn check_instances(&self) -> Result<(), String> {
        for (number, instance) in self.instances.iter().enumerate() {
            let id = InstanceId(number as u32);
            let waiting = self.threads.iter().filter(|thread| {
                let inside = self.task(thread.task).instance == id;
                let gate = Frame::Lift {
                    task: thread.task,
                    stage: Stage::Admitted,
                };
                inside && thread.frames.contains(&gate)
            });
            let waiting = waiting.count() as u32;
            expect!(
                waiting == instance.waiting_to_enter,
                "{waiting} wait to enter {number}, which counts {}",
                instance.waiting_to_enter
            );
            if let Some(holder) = instance.exclusive {
                let thread = self.thread(holder);
                expect!(
                    thread.status != Status::Ended && self.task(thread.task).instance == id,
                    "{} holds the lock of {number}, and is over",
                    thread.label
                );
                let parked = matches!(
                    thread.status,
                    Status::Waiting(Condition::Callback(..) | Condition::LockFree(_))
                );
                expect!(!parked, "{} is parked with the lock", thread.label);
            }
            for thread in instance.threads.iter() {
                let record = self.thread(thread);
                let known = record.index.and_then(|index| instance.threads.get(index));
                expect!(
                    known == Some(thread) && record.status != Status::Ended,
                    "{} is not where it says",
                    record.label
                );
            }
            for handle in instance.handles.iter() {
                if let Handle::End(end) = handle {
                    let record = self.end(end);
                    let known = record.index.and_then(|index| instance.handles.get(index));
                    expect!(
                        known == Some(handle) && record.owner == Some(id),
                        "end {} is not where it says",
                        end.0
                    );
                }
            }
        }
        Ok(())
    }

    fn check_sets(&self) -> Result<(), String> {
        for (number, set) in self.sets.iter().enumerate() {
            for member in &set.members {
                let own = self.waitable(*member).set.map(|set| set.0 as usize);
                expect!(own == Some(number), "{member:?} is not in its set");
                expect!(
                    !self.waitable(*member).has_sync_waiter,
                    "{member:?} is in a set, and has a synchronous waiter"
                );
            }
            let frames = self.threads.iter().flat_map(|thread| &thread.frames);
            let waiting = frames.filter(|frame| match frame {
                Frame::Set {
                    set,
                    stage: Stage::Resumed,
                } => set.index() == number,
                Frame::Lift {
                    stage: Stage::Waited(set),
                    ..
                } => set.index() == number,
                _ => false,
            });
            let waiting = waiting.count() as u32;
            expect!(
                waiting == set.waiting,
                "{waiting} wait for set {number}, which counts {}",
                set.waiting
            );
        }
        Ok(())
    }

    fn check_end(&self, end: EndId) -> Result<(), String> {
        let record = self.end(end);
        let number = end.0;
        if !self.is_held(end) {
            // It was dropped or forwarded: nobody looks at it again.
            return Ok(());
        }
        if let Some(buffer) = record.buffer {
            expect!(
                record.is_busy() && buffer.progress <= buffer.length,
                "end {number} is {:?} with a buffer",
                record.state
            );
        }
        if record.state == EndState::Done {
            expect!(
                record.waitable.pending.is_none(),
                "end {number} is done, and has an event"
            );
        }
        let Some(other) = record.other else {
            let told = record.state == EndState::Done || record.waitable.pending.is_some();
            expect!(told, "nothing tells end {number} of the drop");
            return Ok(());
        };
        expect!(
            self.end(other).other == Some(end) && self.end(other).kind == record.kind,
            "end {number} is linked to {}, which is not to it",
            other.0
        );
        let both = record.buffer.is_some() && self.end(other).buffer.is_some();
        expect!(!both, "ends {number} and {} both have buffers", other.0);
        Ok(())
    }

    /// Whether a guest or the host has the end.
    fn is_held(&self, end: EndId) -> bool {
        let record = self.end(end);
        let handle = match (record.owner, record.index) {
            (Some(owner), Some(index)) => self.instance(owner).handles.get(index),
            _ => None,
        };
        let by_host = self.calls.iter().any(|call| call.result == Some(end));
        handle == Some(Handle::End(end)) || by_host
    }
}
