//! Subtasks: `canon lower`, and `subtask.cancel`.

use crate::machine::{Frame, Halt, Model, Stage};
use crate::script::{Kind, Mode, Payload, Slot, Target};
use crate::state::{
    Callee, Caller, Condition, EndId, Handle, Passed, Pending, Subtask, SubtaskId, WaitableId,
};
use crate::trace::{Answer, Delivered, Resolution, SubtaskState};
use crate::traps::Trap;

/// The operands of a call.
#[derive(Clone, Copy)]
pub(crate) struct CallOperands {
    pub mode: Mode,
    pub target: Target,
    pub argument: Slot,
    pub result: Slot,
}

impl Model {
    /// `canon lower`: calls, and leaves a frame that goes on when the callee blocks or ends.
    pub(crate) fn lower(&mut self, operands: CallOperands) -> Result<(), Halt> {
        let CallOperands {
            mode,
            target,
            argument,
            result,
        } = operands;
        let waitable = self.new_waitable();
        let subtask = SubtaskId(self.subtasks.len() as u32);
        let record = Subtask {
            waitable,
            instance: self.current_instance(),
            state: SubtaskState::Starting,
            callee: None,
            delivered: false,
            lent: Vec::new(),
            cancel_requested: false,
            handle: None,
            argument: self.load(argument),
            out: (mode == Mode::Async).then_some((self.current_task(), result)),
            value: None,
        };
        self.subtasks.push(record);
        self.push(Frame::Lower {
            mode,
            subtask,
            stage: Stage::First,
        });
        let callee = match target {
            Target::Function(function) => {
                Callee::Task(self.invoke(function, Caller::Guest(subtask))?)
            }
            Target::Import(import) => Callee::Import(self.call_import(import, subtask)?),
        };
        self.subtask_mut(subtask).callee = Some(callee);
        Ok(())
    }

    pub(crate) fn step_lower(
        &mut self,
        mode: Mode,
        subtask: SubtaskId,
        stage: Stage,
    ) -> Result<(), Halt> {
        let resolved = self.subtask(subtask).resolved();
        match (mode, stage) {
            (Mode::Sync, Stage::First) if !resolved => {
                self.push(Frame::Lower {
                    mode,
                    subtask,
                    stage: Stage::Last,
                });
                self.wait(Condition::Resolved(subtask));
            }
            (Mode::Sync, _) => {
                self.deliver_resolve(subtask);
                match self.subtask(subtask).value {
                    Some(value) => {
                        self.store_result(value);
                        self.done(Answer::Number(value));
                    }
                    None => self.done(Answer::Nothing),
                }
            }
            (Mode::Async, _) if resolved => {
                self.deliver_resolve(subtask);
                self.done(Answer::Subtask(SubtaskState::Returned, None));
            }
            (Mode::Async, _) => {
                let instance = self.subtask(subtask).instance;
                let handle = self
                    .instance_mut(instance)
                    .handles
                    .add(Handle::Subtask(subtask));
                self.subtask_mut(subtask).handle = Some(handle);
                self.store_subtask(handle);
                let state = self.subtask(subtask).state;
                self.done(Answer::Subtask(state, Some(handle)));
            }
        }
        Ok(())
    }

    /// The subtask's caller took its resolution.
    pub(crate) fn deliver_resolve(&mut self, subtask: SubtaskId) {
        let record = self.subtask_mut(subtask);
        assert!(record.resolved() && !record.delivered);
        record.delivered = true;
        for resource in std::mem::take(&mut record.lent) {
            self.resources[resource.index()].lends -= 1;
        }
    }

    fn progress(&mut self, subtask: SubtaskId) {
        let record = self.subtask_mut(subtask);
        if record.handle.is_some() {
            record.waitable.pending = Some(Pending::Subtask);
        }
    }

    /// The callee starts: gives it its argument.
    pub(crate) fn subtask_starts(&mut self, subtask: SubtaskId) -> Result<Option<Passed>, Trap> {
        self.progress(subtask);
        let record = self.subtask_mut(subtask);
        assert_eq!(record.state, SubtaskState::Starting);
        record.state = SubtaskState::Started;
        let (instance, argument) = (record.instance, record.argument);
        let passed = match self.parameter(subtask) {
            Payload::None => return Ok(None),
            Payload::Stream => Passed::End(self.lift_end(instance, Kind::Stream, argument)?),
            Payload::Future => Passed::End(self.lift_end(instance, Kind::Future, argument)?),
            Payload::Borrow => {
                let resource = self.instance(instance).resource(argument)?;
                self.resources[resource.index()].lends += 1;
                self.subtask_mut(subtask).lent.push(resource);
                Passed::Borrow
            }
        };
        Ok(Some(passed))
    }

    fn parameter(&self, subtask: SubtaskId) -> Payload {
        let task = self
            .tasks
            .iter()
            .find(|task| task.caller == Caller::Guest(subtask));
        task.map_or(Payload::None, |task| {
            self.script.functions[usize::from(task.function)].param
        })
    }

    /// The callee has returned: gives the caller the result.
    pub(crate) fn subtask_returns(&mut self, subtask: SubtaskId, result: Option<EndId>) {
        self.progress(subtask);
        assert_eq!(self.subtask(subtask).state, SubtaskState::Started);
        let instance = self.subtask(subtask).instance;
        if let Some(end) = result {
            let index = self.lower_end(instance, end);
            match self.subtask(subtask).out {
                Some((task, slot)) => self.store_of(task, slot, index),
                None => self.subtask_mut(subtask).value = Some(index),
            }
        }
        self.subtask_mut(subtask).state = SubtaskState::Returned;
    }

    /// The callee was cancelled.
    pub(crate) fn subtask_is_cancelled(&mut self, subtask: SubtaskId) {
        self.progress(subtask);
        let record = self.subtask_mut(subtask);
        assert!(record.cancel_requested);
        record.state = match record.state {
            SubtaskState::Starting => SubtaskState::CancelledBeforeStarted,
            SubtaskState::Started => SubtaskState::CancelledBeforeReturned,
            other => unreachable!("a subtask cancelled when it was {other}"),
        };
    }

    /// `subtask.cancel`.
    pub(crate) fn subtask_cancel(&mut self, mode: Mode, index: u32) -> Result<(), Halt> {
        let subtask = self.instance(self.current_instance()).subtask(index)?;
        let record = self.subtask_mut(subtask);
        if record.delivered {
            return Err(Trap::SubtaskDelivered.into());
        }
        if record.cancel_requested {
            return Err(Trap::SubtaskCancelledTwice.into());
        }
        if record.waitable.set.is_some() {
            return Err(Trap::SynchronousInSet.into());
        }
        if record.resolved() {
            self.answer_cancel(subtask);
            return Ok(());
        }
        record.cancel_requested = true;
        record.waitable.has_sync_waiter = true;
        let callee = record.callee;
        self.push(Frame::SubtaskCancel {
            mode,
            subtask,
            stage: Stage::First,
        });
        match callee.expect("the call came back") {
            Callee::Task(task) => self.push(Frame::Cancel {
                task,
                stage: Stage::First,
            }),
            Callee::Import(import) => self.complete_import(import, Resolution::Cancelled)?,
        }
        Ok(())
    }

    pub(crate) fn step_subtask_cancel(
        &mut self,
        mode: Mode,
        subtask: SubtaskId,
        stage: Stage,
    ) -> Result<(), Halt> {
        let resolved = self.subtask(subtask).resolved();
        if stage == Stage::First && mode == Mode::Sync && !resolved {
            self.push(Frame::SubtaskCancel {
                mode,
                subtask,
                stage: Stage::Last,
            });
            self.wait(Condition::Resolved(subtask));
            return Ok(());
        }
        self.subtask_mut(subtask).waitable.has_sync_waiter = false;
        match resolved {
            true => self.answer_cancel(subtask),
            false => self.done(Answer::Blocked),
        }
        Ok(())
    }

    fn answer_cancel(&mut self, subtask: SubtaskId) {
        match self.take_event(WaitableId::Subtask(subtask)) {
            Delivered::Subtask(_, state) => self.done(Answer::Subtask(state, None)),
            other => unreachable!("{other} of a subtask"),
        }
    }
}
