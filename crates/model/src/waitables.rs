//! Events, and the sets in which they are waited for.

use crate::machine::{Frame, Model, Stage};
use crate::state::{Condition, Pending, SetId, WaitableId};
use crate::trace::{Answer, Delivered};
use crate::traps::Trap;

impl Model {
    pub(crate) fn has_event(&self, set: SetId) -> bool {
        let members = &self.sets[set.index()].members;
        members
            .iter()
            .any(|member| self.waitable(*member).pending.is_some())
    }

    /// Members of a set that have an event, oldest first.
    pub(crate) fn members_with_event(&self, set: SetId) -> Vec<WaitableId> {
        let members = self.sets[set.index()].members.iter().copied();
        let mut found: Vec<WaitableId> = members
            .filter(|member| self.waitable(*member).pending.is_some())
            .collect();
        found.sort_by_key(|member| self.waitable(*member).serial);
        found
    }

    /// Takes the event of the member that was chosen.
    pub(crate) fn take_from(&mut self, set: SetId) -> Delivered {
        let member = self.members_with_event(set)[self.answer];
        self.take_event(member)
    }

    /// Delivers an event: only now it is decided what it says.
    pub(crate) fn take_event(&mut self, waitable: WaitableId) -> Delivered {
        let pending = self.waitable_mut(waitable).pending.take();
        match (waitable, pending.expect("an event")) {
            (WaitableId::Subtask(subtask), Pending::Subtask) => {
                if self.subtask(subtask).resolved() {
                    self.deliver_resolve(subtask);
                }
                let record = self.subtask(subtask);
                let index = record.handle.expect("it has events");
                Delivered::Subtask(index, record.state)
            }
            (WaitableId::End(end), Pending::Copy(progress)) => {
                let record = self.end_mut(end);
                let (result, state) = record.outcome(progress);
                record.state = state;
                record.buffer = None;
                Delivered::Copy {
                    kind: record.kind,
                    side: record.side,
                    index: record.index.expect("a guest has it"),
                    result,
                    progress,
                }
            }
            (other, pending) => unreachable!("{pending:?} of {other:?}"),
        }
    }

    /// Puts a waitable into a set, out of the one where it is.
    pub(crate) fn join(&mut self, waitable: WaitableId, set: Option<SetId>) {
        if let Some(old) = self.waitable(waitable).set {
            self.sets[old.index()]
                .members
                .retain(|member| *member != waitable);
        }
        self.waitable_mut(waitable).set = set;
        if let Some(new) = set {
            self.sets[new.index()].members.push(waitable);
        }
    }

    /// `waitable.join` with a waitable's index, and a set's or 0.
    pub(crate) fn waitable_join(&mut self, waitable: u32, set: u32) -> Result<(), Trap> {
        let instance = self.instance(self.current_instance());
        let waitable = instance.waitable(waitable)?;
        if self.waitable(waitable).has_sync_waiter {
            return Err(Trap::SynchronousInSet);
        }
        let set = match set {
            0 => None,
            index => Some(instance.set(index)?),
        };
        self.join(waitable, set);
        Ok(())
    }

    /// `waitable-set.drop`.
    pub(crate) fn set_drop(&mut self, index: u32) -> Result<(), Trap> {
        let instance = self.current_instance();
        let set = self.instance(instance).set(index)?;
        self.instance_mut(instance).handles.remove(index);
        let set = &self.sets[set.index()];
        if !set.members.is_empty() {
            return Err(Trap::SetHasMembers);
        }
        if set.waiting > 0 {
            return Err(Trap::SetHasWaiters);
        }
        Ok(())
    }

    /// `waitable-set.wait`.
    pub(crate) fn set_wait(&mut self, set: SetId) {
        self.sets[set.index()].waiting += 1;
        self.push(Frame::Set {
            set,
            stage: Stage::Resumed,
        });
        self.wait(Condition::Event(set));
    }

    /// `waitable-set.poll`.
    pub(crate) fn set_poll(&mut self, set: SetId) {
        match self.has_event(set) {
            true => self.ask_for_member(set),
            false => self.done(Answer::Event(Delivered::None)),
        }
    }

    pub(crate) fn step_set(&mut self, set: SetId, stage: Stage) {
        match stage {
            Stage::Resumed => {
                self.sets[set.index()].waiting -= 1;
                self.ask_for_member(set);
            }
            Stage::Asked => {
                let event = self.take_from(set);
                self.done(Answer::Event(event));
            }
            other => unreachable!("{other:?} of a set"),
        }
    }

    fn ask_for_member(&mut self, set: SetId) {
        self.push(Frame::Set {
            set,
            stage: Stage::Asked,
        });
        self.ask(self.members_with_event(set).len());
    }
}
