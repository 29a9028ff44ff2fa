//! Bodies: each operation checks its operands and calls what does it.

use crate::lower::CallOperands;
use crate::machine::{Frame, Halt, Model, Source, Stage};
use crate::script::{Lift, Op, Payload, Slot, Switch, Target};
use crate::state::{
    Condition, Handle, InstanceId, Resource, ResourceId, Returned, SetId, Status, TaskId, ThreadId,
    WaitableSet,
};
use crate::trace::{Answer, Event, Label};
use crate::traps::Trap;

/// What `backpressure.inc` counts to.
const MOST_BACKPRESSURE: u32 = 1 << 16;

impl Model {
    /// The word in a slot of the task that runs.
    pub(crate) fn load(&self, slot: Slot) -> u32 {
        let task = self.task(self.current_task());
        match slot {
            Slot::Local(local) => task.locals[usize::from(local)],
            Slot::Global(global) => self.instance(task.instance).globals[usize::from(global)],
        }
    }

    fn store(&mut self, slot: Slot, value: u32) {
        self.store_of(self.current_task(), slot, value);
    }

    pub(crate) fn store_of(&mut self, task: TaskId, slot: Slot, value: u32) {
        let instance = self.task(task).instance;
        match slot {
            Slot::Local(local) => self.task_mut(task).locals[usize::from(local)] = value,
            Slot::Global(global) => {
                self.instance_mut(instance).globals[usize::from(global)] = value;
            }
        }
    }

    /// Stores the result of the call on top of the frames.
    pub(crate) fn store_result(&mut self, value: u32) {
        if let Op::Call { result, .. } = self.operation() {
            self.store(result, value);
        }
    }

    /// Stores the subtask of the call on top of the frames.
    pub(crate) fn store_subtask(&mut self, value: u32) {
        if let Op::Call { subtask, .. } = self.operation() {
            self.store(subtask, value);
        }
    }

    fn operation(&mut self) -> Op {
        let Some(&Frame::Body { source, position }) = self.frames().last() else {
            unreachable!("an operation outside of a body");
        };
        self.operations(source)[position as usize]
    }

    pub(crate) fn step_body(&mut self, source: Source, position: u32) -> Result<(), Halt> {
        let task = self.current_task();
        let operations = self.operations(source);
        let Some(&op) = operations.get(position as usize) else {
            self.end_body(source, position, Returned::Exit);
            return Ok(());
        };
        let lift = self.function_of(task).lift;
        self.push(Frame::Body { source, position });
        if self.lacks_handle(op) {
            self.done(Answer::Skipped);
            return Ok(());
        }
        let code = match op {
            Op::CodeExit => Returned::Exit,
            Op::CodeYield => Returned::Yield,
            Op::CodeWait(set) => Returned::Wait(self.load(set)),
            Op::CodeBad(_) => Returned::Unknown,
            Op::Return(slot) | Op::Finish(slot) if source == Source::Body && lift == Lift::Sync => {
                Returned::Value(self.load(slot))
            }
            _ => return self.operate(op),
        };
        self.done(Answer::Nothing);
        self.frames().pop();
        self.end_body(source, position + 1, code);
        Ok(())
    }

    /// Whether a slot is empty that the operation needs.
    fn lacks_handle(&self, op: Op) -> bool {
        let argument = match op {
            Op::Call {
                target: Target::Function(callee),
                argument,
                ..
            } => {
                let param = self.script.functions[usize::from(callee)].param;
                (param != Payload::None).then_some(argument)
            }
            _ => None,
        };
        let mut needed = op.handles().into_iter().chain([argument]).flatten();
        needed.any(|slot| self.load(slot) == 0)
    }

    fn end_body(&mut self, source: Source, position: u32, code: Returned) {
        let thread = self.current();
        let (task, label) = (self.thread(thread).task, self.thread(thread).label);
        if source != Source::Body {
            if matches!(source, Source::Thread(_)) {
                self.tell(Event::Exit(label));
            }
            return;
        }
        self.task_mut(task).position = position;
        self.thread_mut(thread).returned = match (self.function_of(task).lift, code) {
            (Lift::Sync, Returned::Exit) => Returned::Value(0),
            (_, code) => code,
        };
        if matches!(code, Returned::Exit | Returned::Value(_)) {
            self.tell(Event::Exit(label));
        }
    }

    pub(crate) fn step_explicit(&mut self, body: u8, stage: Stage) -> Result<(), Halt> {
        let thread = self.current();
        if stage == Stage::Last {
            return Ok(self.unregister(thread)?);
        }
        let label = self.thread(thread).label;
        self.tell(Event::Start(label));
        self.push(Frame::Explicit {
            body,
            stage: Stage::Last,
        });
        self.push(Frame::Body {
            source: Source::Thread(body),
            position: 0,
        });
        Ok(())
    }

    /// Runs an operation. The body's frame is on top, and leaves it to [`Model::done`] to go on.
    fn operate(&mut self, op: Op) -> Result<(), Halt> {
        let instance = self.current_instance();
        let free = matches!(
            op,
            Op::BackpressureInc
                | Op::BackpressureDec
                | Op::ContextGet
                | Op::ContextSet(_)
                | Op::Move(..)
                | Op::Let(..)
                | Op::Unreachable
        );
        if !free && !self.instance(instance).may_leave {
            return Err(Trap::CannotLeave.into());
        }
        match op {
            Op::Call {
                mode,
                target,
                argument,
                result,
                ..
            } => {
                self.lower(CallOperands {
                    mode,
                    target,
                    argument,
                    result,
                })?;
            }
            Op::SetWait(slot) => {
                let set = self.instance(instance).set(self.load(slot))?;
                self.set_wait(set);
            }
            Op::SetPoll(slot) => {
                let set = self.instance(instance).set(self.load(slot))?;
                self.set_poll(set);
            }
            Op::SubtaskCancel(mode, slot) => self.subtask_cancel(mode, self.load(slot))?,
            Op::Copy {
                kind,
                side,
                mode,
                end,
                length,
            } => {
                self.copy(kind, side, mode, self.load(end), u32::from(length))?;
            }
            Op::CancelCopy(kind, side, mode, slot) => {
                self.cancel_copy(kind, side, mode, self.load(slot))?;
            }
            Op::Return(slot) => self.task_return(self.load(slot))?,
            Op::Finish(slot) if !self.task(self.current_task()).told => {
                self.task_return(self.load(slot))?;
            }
            Op::ThreadSuspend => {
                self.push(Frame::Switched);
                self.suspend(Status::Suspended);
            }
            Op::ThreadYield => {
                self.push(Frame::Switched);
                self.wait(Condition::Always);
            }
            Op::ThreadSwitch(switch, slot) => self.switch(switch, self.load(slot))?,
            _ => {
                let answer = self.operate_at_once(op)?;
                self.done(answer);
            }
        }
        Ok(())
    }

    /// Operations that never give control to anybody.
    fn operate_at_once(&mut self, op: Op) -> Result<Answer, Halt> {
        let instance = self.current_instance();
        match op {
            Op::Finish(_) => self.task_cancel()?,
            Op::TaskCancel => self.task_cancel()?,
            Op::Unreachable => return Err(Trap::Unreachable.into()),
            Op::SetNew(slot) => {
                let set = SetId(self.sets.len() as u32);
                self.sets.push(WaitableSet::default());
                let index = self.instance_mut(instance).handles.add(Handle::Set(set));
                self.store(slot, index);
                return Ok(Answer::Number(index));
            }
            Op::SetDrop(slot) => self.set_drop(self.load(slot))?,
            Op::Join(waitable, set) => self.waitable_join(self.load(waitable), self.load(set))?,
            Op::Leave(waitable) => self.waitable_join(self.load(waitable), 0)?,
            Op::SubtaskDrop(slot) => {
                let index = self.load(slot);
                let subtask = self.instance(instance).subtask(index)?;
                self.instance_mut(instance).handles.remove(index);
                if !self.subtask(subtask).delivered {
                    return Err(Trap::SubtaskUnresolved.into());
                }
                self.join(crate::state::WaitableId::Subtask(subtask), None);
            }
            Op::BackpressureInc => {
                let counter = &mut self.instance_mut(instance).backpressure;
                *counter += 1;
                if *counter == MOST_BACKPRESSURE {
                    return Err(Trap::BackpressureOverflow.into());
                }
            }
            Op::BackpressureDec => {
                let counter = &mut self.instance_mut(instance).backpressure;
                *counter = counter.checked_sub(1).ok_or(Trap::BackpressureUnderflow)?;
            }
            Op::New(kind, reader_slot, writer_slot) => {
                let (reader, writer) = self.new_pair(kind);
                self.store(reader_slot, reader);
                self.store(writer_slot, writer);
                return Ok(Answer::Ends(reader, writer));
            }
            Op::DropEnd(kind, side, slot) => self.drop_end(kind, side, self.load(slot))?,
            Op::Forward(kind, reader, writer) => {
                self.forward(kind, self.load(reader), self.load(writer))?;
            }
            Op::ContextSet(value) => {
                let thread = self.current();
                self.thread_mut(thread).context = u32::from(value);
            }
            Op::ContextGet => return Ok(Answer::Number(self.thread(self.current()).context)),
            Op::ThreadIndex(slot) => {
                let index = self.thread(self.current()).index.expect("it has entered");
                self.store(slot, index);
                return Ok(Answer::Number(index));
            }
            Op::ThreadNew(body, slot) => {
                let index = self.thread_new(body);
                self.store(slot, index);
                return Ok(Answer::Number(index));
            }
            Op::ThreadResumeLater(slot) => {
                let thread = self.thread_at(self.load(slot))?;
                self.expect_suspended(thread)?;
                self.thread_mut(thread).status = Status::Waiting(Condition::Always);
            }
            Op::ResourceNew(slot) => {
                let index = self.new_resource(instance, None);
                self.store(slot, index);
                return Ok(Answer::Number(index));
            }
            Op::ResourceDrop(slot) => self.resource_drop(self.load(slot))?,
            Op::Move(from, to) => self.store(to, self.load(from)),
            Op::Let(value, slot) => self.store(slot, u32::from(value)),
            other => unreachable!("`{other}` is done elsewhere"),
        }
        Ok(Answer::Nothing)
    }

    /// A new handle of a resource, borrowed by a task or owned.
    pub(crate) fn new_resource(&mut self, instance: InstanceId, scope: Option<TaskId>) -> u32 {
        let resource = ResourceId(self.resources.len() as u32);
        self.resources.push(Resource { scope, lends: 0 });
        self.instance_mut(instance)
            .handles
            .add(Handle::Resource(resource))
    }

    fn resource_drop(&mut self, index: u32) -> Result<(), Trap> {
        let instance = self.current_instance();
        let resource = self.instance(instance).resource(index)?;
        self.instance_mut(instance).handles.remove(index);
        let Resource { scope, lends } = self.resources[resource.index()];
        if lends > 0 {
            return Err(Trap::Lent);
        }
        if let Some(task) = scope {
            self.task_mut(task).borrows -= 1;
        }
        Ok(())
    }

    fn thread_new(&mut self, body: u8) -> u32 {
        let task = self.current_task();
        let record = self.task_mut(task);
        record.made += 1;
        let label = Label {
            task: task.0,
            thread: record.made,
        };
        let frame = Frame::Explicit {
            body,
            stage: Stage::First,
        };
        let thread = self.new_thread(task, label, frame);
        self.register(thread);
        self.thread(thread).index.expect("it was registered")
    }

    fn thread_at(&self, index: u32) -> Result<ThreadId, Trap> {
        let threads = &self.instance(self.current_instance()).threads;
        threads.get(index).ok_or(Trap::UnknownThread(index))
    }

    fn expect_suspended(&self, thread: ThreadId) -> Result<(), Trap> {
        match self.thread(thread).status {
            Status::Suspended => Ok(()),
            _ => Err(Trap::NotSuspended),
        }
    }

    /// `thread.{suspend,yield}-then-{resume,promote}`.
    fn switch(&mut self, switch: Switch, index: u32) -> Result<(), Halt> {
        let promotes = matches!(
            switch,
            Switch::SuspendThenPromote | Switch::YieldThenPromote
        );
        if promotes && self.thread(self.current()).index == Some(index) {
            return Err(Trap::NotSuspended.into());
        }
        let other = self.thread_at(index)?;
        let runs = match promotes {
            true => self.is_ready(other),
            false => {
                self.expect_suspended(other)?;
                true
            }
        };
        self.push(Frame::Switched);
        let status = match switch {
            Switch::SuspendThenResume | Switch::SuspendThenPromote => Status::Suspended,
            Switch::YieldThenResume | Switch::YieldThenPromote => {
                Status::Waiting(Condition::Always)
            }
        };
        if runs {
            // The other one takes this one's place on the chain.
            self.suspend(status);
            self.resume(other);
        } else if status == Status::Suspended {
            self.suspend(status);
        } else {
            self.wait(Condition::Always);
        }
        Ok(())
    }
}
