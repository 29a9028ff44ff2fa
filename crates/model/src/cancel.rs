//! What a request to cancel a task does at once.
//!
//! The snapshot's definitions let any ready thread of the task's instance run, any number of times.
//! The runtime follows #726, where only the cancelled task's own callback is resumed:
//! [`Model::resume_now`] decides that alone.

use crate::machine::{CancelRule, Frame, Halt, Model, Stage};
use crate::state::{Condition, Status, TaskId, TaskState, ThreadId};

impl Model {
    /// The thread that a request to cancel a started task resumes at once: the task's implicit one,
    /// if it is parked between two calls of its callback, and the lock is free.
    fn resume_now(&self, task: TaskId) -> Option<ThreadId> {
        let implicit = self.task(task).implicit;
        let parked = match self.thread(implicit).status {
            Status::Waiting(Condition::LockFree(_) | Condition::Callback(..)) => true,
            Status::Waiting(_) | Status::Suspended | Status::Running | Status::Ended => false,
        };
        (parked && self.is_ready(implicit)).then_some(implicit)
    }

    pub(crate) fn step_cancel(&mut self, task: TaskId, stage: Stage) -> Result<(), Halt> {
        let next = |stage| Frame::Cancel { task, stage };
        let implicit = self.task(task).implicit;
        match stage {
            Stage::First if self.task(task).state == TaskState::Initial => {
                self.task_mut(task).state = TaskState::PendingCancel;
                self.push(next(Stage::Last));
                self.resume(implicit);
            }
            Stage::First => {
                assert_eq!(self.task(task).state, TaskState::Started);
                self.task_mut(task).state = TaskState::PendingCancel;
                match self.rules.cancel {
                    CancelRule::AnyReady => self.push(next(Stage::Test)),
                    CancelRule::OwnCallback => {
                        if let Some(thread) = self.resume_now(task) {
                            self.push(next(Stage::Last));
                            self.resume(thread);
                        }
                    }
                }
            }
            Stage::Test if self.task(task).state != TaskState::Resolved => {
                let ready = self.ready_in(self.task(task).instance);
                if !ready.is_empty() {
                    self.push(next(Stage::Asked));
                    self.ask(ready.len());
                }
            }
            Stage::Asked => {
                let ready = self.ready_in(self.task(task).instance);
                self.push(next(Stage::Resumed));
                self.resume(ready[self.answer]);
            }
            Stage::Resumed => {
                self.push(next(Stage::Again));
                self.ask(2);
            }
            Stage::Again if self.answer == 0 => self.push(next(Stage::Test)),
            Stage::Test | Stage::Again | Stage::Last => {}
            other => unreachable!("{other:?} of a cancellation"),
        }
        Ok(())
    }
}
