//! Tasks: `canon lift`, from the gate to the exit.

use crate::machine::{Frame, Halt, HostTime, Model, Source, Stage, TrapOrder};
use crate::script::{Function, Kind, Lift, Payload, Side, Typed};
use crate::state::{
    Caller, Condition, EndId, EndState, Handle, InstanceId, Passed, Returned, Task, TaskId,
    TaskState, ThreadId,
};
use crate::trace::{Answer, Delivered, Event, Resolution};
use crate::traps::{Trap, Use};

impl Model {
    pub(crate) fn function_of(&self, task: TaskId) -> &Function {
        &self.script.functions[usize::from(self.task(task).function)]
    }

    /// Calls a lifted function: control comes back when it blocks or ends.
    pub(crate) fn invoke(&mut self, function: u8, caller: Caller) -> Result<TaskId, Halt> {
        let thread = ThreadId(self.threads.len() as u32);
        let task = TaskId(self.tasks.len() as u32);
        let instance = self.script.functions[usize::from(function)].instance;
        let record = Task {
            function,
            instance: InstanceId(u32::from(instance)),
            caller,
            state: TaskState::Initial,
            implicit: thread,
            threads: Vec::new(),
            made: 0,
            locals: Default::default(),
            position: 0,
            borrows: 0,
            told: false,
        };
        self.new_task(
            record,
            Frame::Lift {
                task,
                stage: Stage::First,
            },
        )?;
        self.push(Frame::Invoke {
            task,
            thread,
            stage: Stage::First,
        });
        Ok(task)
    }

    /// A call of a synchronous type does not come back before the task is resolved: ready threads
    /// of its instance run instead, and if there is none, it traps.
    pub(crate) fn step_invoke(
        &mut self,
        task: TaskId,
        thread: ThreadId,
        stage: Stage,
    ) -> Result<(), Halt> {
        let next = |stage| Frame::Invoke {
            task,
            thread,
            stage,
        };
        match stage {
            Stage::First => {
                self.push(next(Stage::Test));
                self.resume(thread);
            }
            Stage::Test if !self.must_wait(task) => {}
            Stage::Test => {
                self.expect_ready(task)?;
                self.push(next(Stage::Completing));
                self.ask(1 + self.imports_to_complete_in_barrier().len());
            }
            Stage::Completing if self.answer == 0 => {
                if self.must_wait(task) {
                    let ready = self.expect_ready(task)?;
                    self.push(next(Stage::Asked));
                    self.ask(ready.len());
                }
            }
            Stage::Completing => {
                let import = self.imports_to_complete_in_barrier()[self.answer - 1];
                self.complete_import(import, Resolution::Returned)?;
                self.push(next(Stage::Resumed));
            }
            Stage::Asked => {
                let ready = self.expect_ready(task)?;
                self.push(next(Stage::Resumed));
                self.resume(ready[self.answer]);
            }
            Stage::Resumed => {
                self.push(next(Stage::Completing));
                self.ask(1 + self.imports_to_complete_in_barrier().len());
            }
            other => unreachable!("{other:?} of a call"),
        }
        Ok(())
    }

    /// Whether the task's caller cannot go on before it is resolved, because of the type.
    fn must_wait(&self, task: TaskId) -> bool {
        let sync = self.function_of(task).typed == Typed::Sync;
        sync && self.task(task).state != TaskState::Resolved
    }

    fn expect_ready(&self, task: TaskId) -> Result<Vec<ThreadId>, Trap> {
        let ready = self.ready_in(self.task(task).instance);
        match ready.is_empty() {
            true => Err(Trap::CannotBlock),
            false => Ok(ready),
        }
    }

    fn imports_to_complete_in_barrier(&self) -> Vec<u32> {
        match self.rules.host {
            HostTime::Loop => Vec::new(),
            HostTime::LoopAndBarriers => self.imports_to_complete(),
        }
    }

    /// Whether backpressure or the lock keeps the task from entering.
    pub(crate) fn is_shut(&self, task: TaskId) -> bool {
        let instance = self.instance(self.task(task).instance);
        let locked = self.function_of(task).needs_exclusive() && instance.exclusive.is_some();
        instance.backpressure > 0 || locked
    }

    pub(crate) fn has_pending_cancel(&self, task: TaskId) -> bool {
        self.task(task).state == TaskState::PendingCancel
    }

    fn deliver_pending_cancel(&mut self, task: TaskId) -> bool {
        let pending = self.has_pending_cancel(task);
        if pending {
            self.task_mut(task).state = TaskState::CancelDelivered;
        }
        pending
    }

    pub(crate) fn step_lift(&mut self, task: TaskId, stage: Stage) -> Result<(), Halt> {
        let next = |stage| Frame::Lift { task, stage };
        let instance = self.task(task).instance;
        match stage {
            Stage::First => {
                let gated = self.function_of(task).typed == Typed::Async
                    && (self.is_shut(task) || self.instance(instance).waiting_to_enter > 0);
                if gated {
                    self.instance_mut(instance).waiting_to_enter += 1;
                    self.push(next(Stage::Admitted));
                    self.wait(Condition::Gate(task));
                } else {
                    self.push(next(Stage::Entered));
                }
            }
            Stage::Admitted => {
                self.instance_mut(instance).waiting_to_enter -= 1;
                if self.deliver_pending_cancel(task) {
                    self.cancel(task)?;
                } else {
                    self.push(next(Stage::Entered));
                }
            }
            Stage::Entered => {
                self.enter(task)?;
                self.push(next(Stage::Core));
                self.push(Frame::Body {
                    source: Source::Body,
                    position: 0,
                });
            }
            Stage::Core => match self.function_of(task).lift {
                Lift::Sync => {
                    let Returned::Value(value) = self.thread(self.task(task).implicit).returned
                    else {
                        unreachable!("a code without a callback");
                    };
                    let result = self.lift_result(task, value)?;
                    if let Some(refusal) = self.refuses_late(task) {
                        self.push(next(Stage::PostOrTrap(refusal)));
                        self.ask(2);
                        return Ok(());
                    }
                    self.resolve(task, result)?;
                    if !self.function_of(task).post.is_empty() {
                        self.instance_mut(instance).may_leave = false;
                        self.push(next(Stage::Posted));
                        self.push(Frame::Body {
                            source: Source::Post,
                            position: 0,
                        });
                    } else {
                        self.exit_implicit(task)?;
                    }
                }
                Lift::Stackful => self.exit_implicit(task)?,
                Lift::Callback => self.push(next(Stage::Code)),
            },
            Stage::PostOrTrap(refusal) if self.answer == 0 => return Err(refusal.into()),
            Stage::PostOrTrap(refusal) => {
                self.instance_mut(instance).may_leave = false;
                self.push(next(Stage::Refused(refusal)));
                self.push(Frame::Body {
                    source: Source::Post,
                    position: 0,
                });
            }
            Stage::Refused(refusal) => return Err(refusal.into()),
            Stage::Posted => {
                self.instance_mut(instance).may_leave = true;
                self.exit_implicit(task)?;
            }
            Stage::Code => self.step_code(task)?,
            Stage::Yielded => {
                let event = match self.deliver_pending_cancel(task) {
                    true => Delivered::TaskCancelled,
                    false => Delivered::None,
                };
                self.lock_and_call_back(task, event);
            }
            Stage::Waited(set) => {
                self.sets[set.index()].waiting -= 1;
                if self.deliver_pending_cancel(task) {
                    self.lock_and_call_back(task, Delivered::TaskCancelled);
                } else {
                    self.push(next(Stage::Taking(set)));
                    self.ask(self.members_with_event(set).len());
                }
            }
            Stage::Taking(set) => {
                let event = self.take_from(set);
                self.lock_and_call_back(task, event);
            }
            other => unreachable!("{other:?} of a lift"),
        }
        Ok(())
    }

    /// What the callback, or the core function before it, asked for.
    fn step_code(&mut self, task: TaskId) -> Result<(), Halt> {
        let instance = self.task(task).instance;
        let implicit = self.task(task).implicit;
        let code = self.thread(implicit).returned;
        match code {
            Returned::Unknown => return Err(Trap::CallbackCode.into()),
            Returned::Exit => return self.exit_implicit(task),
            _ => {}
        }
        if self.deliver_pending_cancel(task) {
            self.call_back(task, Delivered::TaskCancelled);
            return Ok(());
        }
        assert_eq!(self.instance(instance).exclusive, Some(implicit));
        self.instance_mut(instance).exclusive = None;
        match code {
            Returned::Yield => {
                self.push(Frame::Lift {
                    task,
                    stage: Stage::Yielded,
                });
                self.wait(Condition::LockFree(instance));
            }
            Returned::Wait(index) => {
                let set = self.instance(instance).set(index)?;
                self.sets[set.index()].waiting += 1;
                self.push(Frame::Lift {
                    task,
                    stage: Stage::Waited(set),
                });
                self.wait(Condition::Callback(set, task));
            }
            other => unreachable!("{other:?} of a callback"),
        }
        Ok(())
    }

    fn lock_and_call_back(&mut self, task: TaskId, event: Delivered) {
        let (instance, implicit) = (self.task(task).instance, self.task(task).implicit);
        assert_eq!(self.instance(instance).exclusive, None);
        self.instance_mut(instance).exclusive = Some(implicit);
        self.call_back(task, event);
    }

    fn call_back(&mut self, task: TaskId, event: Delivered) {
        let label = self.thread(self.current()).label;
        self.tell(Event::Callback(label, event));
        let record = self.task_mut(task);
        record.told |= event == Delivered::TaskCancelled;
        let position = record.position;
        self.push(Frame::Lift {
            task,
            stage: Stage::Code,
        });
        self.push(Frame::Body {
            source: Source::Body,
            position,
        });
    }

    /// The gate is open: takes the lock, becomes a thread of the instance, takes the parameters.
    fn enter(&mut self, task: TaskId) -> Result<(), Halt> {
        let (instance, implicit) = (self.task(task).instance, self.task(task).implicit);
        if self.function_of(task).needs_exclusive() {
            assert_eq!(self.instance(instance).exclusive, None);
            self.instance_mut(instance).exclusive = Some(implicit);
        }
        self.register(implicit);
        self.task_mut(task).state = TaskState::Started;
        let argument = match self.task(task).caller {
            Caller::Guest(subtask) => self.subtask_starts(subtask)?,
            Caller::Host(_) => None,
        };
        match argument {
            Some(Passed::End(end)) => {
                let index = self.lower_end(instance, end);
                self.task_mut(task).locals[0] = index;
            }
            Some(Passed::Borrow) => {
                let index = self.new_resource(instance, Some(task));
                self.task_mut(task).locals[0] = index;
                self.task_mut(task).borrows += 1;
            }
            None => {}
        }
        let label = self.thread(implicit).label;
        self.tell(Event::Start(label));
        Ok(())
    }

    pub(crate) fn register(&mut self, thread: ThreadId) {
        let task = self.thread(thread).task;
        let instance = self.task(task).instance;
        self.task_mut(task).threads.push(thread);
        let index = self.instance_mut(instance).threads.add(thread);
        self.thread_mut(thread).index = Some(index);
    }

    pub(crate) fn unregister(&mut self, thread: ThreadId) -> Result<(), Trap> {
        let task = self.thread(thread).task;
        let instance = self.task(task).instance;
        let record = self.task_mut(task);
        record.threads.retain(|other| *other != thread);
        if record.threads.is_empty() && record.state != TaskState::Resolved {
            return Err(Trap::NoResult);
        }
        let index = self.thread(thread).index.expect("it has entered");
        self.instance_mut(instance).threads.remove(index);
        Ok(())
    }

    fn exit_implicit(&mut self, task: TaskId) -> Result<(), Halt> {
        let (instance, implicit) = (self.task(task).instance, self.task(task).implicit);
        self.unregister(implicit)?;
        if self.function_of(task).needs_exclusive() {
            assert_eq!(self.instance(instance).exclusive, Some(implicit));
            self.instance_mut(instance).exclusive = None;
        }
        Ok(())
    }

    /// `task.return`.
    pub(crate) fn task_return(&mut self, value: u32) -> Result<(), Halt> {
        let task = self.current_task();
        if self.function_of(task).lift == Lift::Sync {
            return Err(Trap::NotAsyncLifted.into());
        }
        let result = self.lift_result(task, value);
        let refusal = self.refuses_result(task);
        match (result, refusal) {
            (Err(trap), Err(other)) if self.rules.traps == TrapOrder::Any => {
                self.push(Frame::Either {
                    traps: [trap, other],
                });
                self.ask(2);
                Ok(())
            }
            (result, _) => {
                self.resolve(task, result?)?;
                self.done(Answer::Nothing);
                Ok(())
            }
        }
    }

    /// Whether the task may not return now, and why.
    fn refuses_result(&self, task: TaskId) -> Result<(), Trap> {
        let record = self.task(task);
        if record.state == TaskState::Resolved {
            return Err(Trap::AlreadyResolved);
        }
        match record.borrows {
            0 => Ok(()),
            _ => Err(Trap::BorrowsRemain),
        }
    }

    /// Why the task may not return, if a runtime may find that out only after `post-return`, which
    /// nobody outside of the instance sees: the definitions do so before.
    fn refuses_late(&self, task: TaskId) -> Option<Trap> {
        let function = self.function_of(task);
        let may = self.rules.traps == TrapOrder::Any && function.typed == Typed::Sync;
        match may && !function.post.is_empty() {
            true => self.refuses_result(task).err(),
            false => None,
        }
    }

    /// `task.cancel`.
    pub(crate) fn task_cancel(&mut self) -> Result<(), Halt> {
        let task = self.current_task();
        if self.function_of(task).lift == Lift::Sync {
            return Err(Trap::NotAsyncLifted.into());
        }
        self.cancel(task)
    }

    fn lift_result(&mut self, task: TaskId, value: u32) -> Result<Option<EndId>, Trap> {
        let (instance, result) = (self.task(task).instance, self.function_of(task).result);
        match result {
            Payload::None => Ok(None),
            Payload::Stream => self.lift_end(instance, Kind::Stream, value).map(Some),
            Payload::Future => self.lift_end(instance, Kind::Future, value).map(Some),
            Payload::Borrow => unreachable!("scripts are checked"),
        }
    }

    fn resolve(&mut self, task: TaskId, result: Option<EndId>) -> Result<(), Halt> {
        self.refuses_result(task)?;
        match self.task(task).caller {
            Caller::Guest(subtask) => self.subtask_returns(subtask, result),
            Caller::Host(call) => self.host_call_resolved(call, Resolution::Returned, result),
        }
        self.task_mut(task).state = TaskState::Resolved;
        self.tell(Event::Resolve(task.0, Resolution::Returned));
        Ok(())
    }

    fn cancel(&mut self, task: TaskId) -> Result<(), Halt> {
        match self.task(task).state {
            TaskState::CancelDelivered => {}
            TaskState::Resolved => return Err(Trap::AlreadyResolved.into()),
            _ => return Err(Trap::NotCancelled.into()),
        }
        if self.task(task).borrows > 0 {
            return Err(Trap::BorrowsRemain.into());
        }
        match self.task(task).caller {
            Caller::Guest(subtask) => self.subtask_is_cancelled(subtask),
            Caller::Host(call) => self.host_call_resolved(call, Resolution::Cancelled, None),
        }
        self.task_mut(task).state = TaskState::Resolved;
        self.tell(Event::Resolve(task.0, Resolution::Cancelled));
        Ok(())
    }

    /// Takes a readable end out of an instance.
    pub(crate) fn lift_end(
        &mut self,
        instance: InstanceId,
        kind: Kind,
        index: u32,
    ) -> Result<EndId, Trap> {
        let end = self.remove_idle_end(instance, kind, Side::Reader, index, Use::Lift)?;
        let record = self.end_mut(end);
        record.owner = None;
        record.index = None;
        Ok(end)
    }

    /// Takes an end that does nothing out of an instance's table.
    pub(crate) fn remove_idle_end(
        &mut self,
        instance: InstanceId,
        kind: Kind,
        side: Side,
        index: u32,
        purpose: Use,
    ) -> Result<EndId, Trap> {
        let handle = self.instance_mut(instance).handles.remove(index);
        let end = self.expect_end(handle, kind, side, index)?;
        let record = self.end(end);
        match record.state {
            EndState::Idle => {}
            EndState::Done => return Err(Trap::Done(kind, side, purpose)),
            EndState::Copying | EndState::Cancelling => {
                return Err(Trap::Busy(kind, side, purpose));
            }
        }
        match record.waitable.set {
            Some(_) => Err(Trap::InSet(kind, purpose)),
            None => Ok(end),
        }
    }

    pub(crate) fn expect_end(
        &self,
        handle: Option<Handle>,
        kind: Kind,
        side: Side,
        index: u32,
    ) -> Result<EndId, Trap> {
        match handle.ok_or(Trap::UnknownHandle(index))? {
            Handle::End(end) if self.end(end).kind == kind && self.end(end).side == side => Ok(end),
            _ => Err(Trap::WrongType(index)),
        }
    }

    /// Gives an end to an instance.
    pub(crate) fn lower_end(&mut self, instance: InstanceId, end: EndId) -> u32 {
        let index = self.instance_mut(instance).handles.add(Handle::End(end));
        let record = self.end_mut(end);
        record.owner = Some(instance);
        record.index = Some(index);
        index
    }
}
