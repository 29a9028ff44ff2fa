//! The machine that runs a script: frames, threads that resume each other, and choices.
//!
//! A thread is a stack of frames. A step takes the uppermost frame of the thread that runs and
//! does a piece of its work: it may push frames above it, resume another thread, or suspend its
//! own. Where the definitions choose at random, a frame asks a question and goes on in its next
//! step, with the answer; so a run stands still between steps, in a state that can be copied.

use crate::script::{Mode, Op, Script};
use crate::state::{
    Condition, End, EndId, HostCall, ImportCall, Instance, InstanceId, Resource, Returned, SetId,
    Status, Subtask, SubtaskId, Task, TaskId, Thread, ThreadId, Waitable, WaitableId, WaitableSet,
};
use crate::trace::{self, Answer, Event, Label, Place, Trace};
use crate::traps::Trap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Tasks that a run may make.
const MOST_TASKS: usize = 64;

/// Whom `subtask.cancel` resumes at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CancelRule {
    /// Only the cancelled task's own parked callback, as in #726: what the runtime does.
    OwnCallback,
    /// Any ready thread of the instance, any number of times, as in the snapshot's definitions.
    AnyReady,
}

/// When the host may complete calls of its functions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostTime {
    /// Only in its loop.
    Loop,
    /// Also while a synchronously typed call waits and a thread of its instance is ready, and after
    /// each thread that was resumed for it.
    LoopAndBarriers,
}

/// Which trap is told if an operation has two reasons to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrapOrder {
    /// That which the definitions come to first.
    Definitions,
    /// Either: a runtime may test in another order.
    Any,
}

/// What the definitions leave open, or what is decided otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Whom `subtask.cancel` resumes.
    pub cancel: CancelRule,
    /// When the host completes calls of its functions.
    pub host: HostTime,
    /// Which of two traps it is.
    pub traps: TrapOrder,
}

impl Rules {
    /// What the runtime is held to.
    pub const RUNTIME: Rules = Rules {
        cancel: CancelRule::OwnCallback,
        host: HostTime::LoopAndBarriers,
        traps: TrapOrder::Any,
    };
}

/// Why a run stands still.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pause {
    /// One of so many (at least two) must be chosen.
    Choice(usize),
    /// It is over.
    Ended,
}

/// Which operations a body frame runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Source {
    /// Of the task's function.
    Body,
    /// Its `post-return`.
    Post,
    /// Of an explicit thread.
    Thread(u8),
}

/// How far a frame is; each kind of frame uses some of these.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Stage {
    /// Nothing is done yet.
    First,
    /// The gate let the task through, or it was cancelled there.
    Admitted,
    /// The task may start.
    Entered,
    /// Its core function has returned.
    Core,
    /// So has its `post-return`.
    Posted,
    /// The result is refused, before or after `post-return`.
    PostOrTrap(Trap),
    /// That has returned, though the result is refused.
    Refused(Trap),
    /// A code of the callback is there.
    Code,
    /// The callback's YIELD is over.
    Yielded,
    /// Its WAIT for this set is over.
    Waited(SetId),
    /// A member of this set with an event was chosen.
    Taking(SetId),
    /// It is to be seen whether there is more to do.
    Test,
    /// The host's choice is there: to complete a call or not.
    Completing,
    /// Some other choice is there.
    Asked,
    /// The thread that was resumed has given control back, or the own one got it back.
    Resumed,
    /// It was chosen whether to go on.
    Again,
    /// Only the answer is missing.
    Last,
}

/// What a thread, or the host, has to do yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Frame {
    /// The host's script.
    Host { position: u32, stage: Stage },
    /// `canon lift`, on the caller's side: starts the thread; a barrier if the type is synchronous.
    Invoke {
        task: TaskId,
        thread: ThreadId,
        stage: Stage,
    },
    /// `canon lift`, inside the task's implicit thread.
    Lift { task: TaskId, stage: Stage },
    /// Operations.
    Body { source: Source, position: u32 },
    /// Around the body of an explicit thread.
    Explicit { body: u8, stage: Stage },
    /// `canon lower`, after the callee was called.
    Lower {
        mode: Mode,
        subtask: SubtaskId,
        stage: Stage,
    },
    /// Waits, or goes on if the condition holds already.
    Wait { condition: Condition, stage: Stage },
    /// Asks a task to cancel.
    Cancel { task: TaskId, stage: Stage },
    /// `subtask.cancel`.
    SubtaskCancel {
        mode: Mode,
        subtask: SubtaskId,
        stage: Stage,
    },
    /// `read`, `write`, `cancel-read`, `cancel-write`, once their effect is there.
    Copied {
        mode: Mode,
        end: EndId,
        stage: Stage,
    },
    /// `cancel-read` and `cancel-write` of an end whose other one the host has.
    HostCancel { mode: Mode, end: EndId },
    /// `waitable-set.wait` and `poll`.
    Set { set: SetId, stage: Stage },
    /// Traps for one of two reasons.
    Either { traps: [Trap; 2] },
    /// A built-in that has given way, and answers 0 when it goes on.
    Switched,
}

/// A run of a script.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) script: Arc<Script>,
    pub(crate) rules: Rules,
    pub(crate) instances: Vec<Instance>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) threads: Vec<Thread>,
    pub(crate) subtasks: Vec<Subtask>,
    pub(crate) ends: Vec<End>,
    pub(crate) sets: Vec<WaitableSet>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) calls: Vec<HostCall>,
    pub(crate) imports: Vec<ImportCall>,
    pub(crate) host: Vec<Frame>,
    /// Threads that run, each resumed by the one before, the first by the host.
    pub(crate) chain: Vec<ThreadId>,
    pub(crate) answer: usize,
    question: Option<usize>,
    waitables: u32,
    trace: Trace,
    ended: bool,
}

/// What stops a run.
pub(crate) type Halt = trace::End;

impl From<Trap> for Halt {
    fn from(trap: Trap) -> Self {
        Halt::Trap(trap)
    }
}

impl Model {
    /// A run that has not begun.
    pub fn new(script: Arc<Script>, rules: Rules) -> Self {
        let instances = (0..script.instances()).map(|_| Instance::new()).collect();
        Self {
            script,
            rules,
            instances,
            tasks: Vec::new(),
            threads: Vec::new(),
            subtasks: Vec::new(),
            ends: Vec::new(),
            sets: Vec::new(),
            resources: Vec::new(),
            calls: Vec::new(),
            imports: Vec::new(),
            host: vec![Frame::Host {
                position: 0,
                stage: Stage::First,
            }],
            chain: Vec::new(),
            answer: 0,
            question: None,
            waitables: 0,
            trace: Vec::new(),
            ended: false,
        }
    }

    /// Runs until something must be chosen, or to the end.
    pub fn run(&mut self) -> Pause {
        loop {
            if self.ended {
                return Pause::Ended;
            }
            if let Some(count) = self.question {
                return Pause::Choice(count);
            }
            if let Err(end) = self.step() {
                self.tell(Event::End(end));
                self.ended = true;
            }
        }
    }

    /// A number that two runs of a script have in common only if they go on alike, whatever was
    /// seen before (but for one chance in very many).
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.instances.hash(&mut hasher);
        self.tasks.hash(&mut hasher);
        self.threads.hash(&mut hasher);
        self.subtasks.hash(&mut hasher);
        self.ends.hash(&mut hasher);
        self.sets.hash(&mut hasher);
        self.resources.hash(&mut hasher);
        self.calls.hash(&mut hasher);
        self.imports.hash(&mut hasher);
        self.host.hash(&mut hasher);
        self.chain.hash(&mut hasher);
        (self.answer, self.question, self.waitables, self.ended).hash(&mut hasher);
        hasher.finish()
    }

    /// Answers the question for which [`Model::run`] paused.
    pub fn choose(&mut self, answer: usize) {
        let count = self.question.take().expect("a question is open");
        assert!(answer < count, "{answer} is no answer of {count}");
        self.answer = answer;
    }

    /// What has been seen so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What has been seen, taken out.
    pub fn into_trace(self) -> Trace {
        self.trace
    }

    fn step(&mut self) -> Result<(), Halt> {
        let Some(frame) = self.frames().pop() else {
            let Some(thread) = self.chain.pop() else {
                return Err(Halt::Finished);
            };
            self.thread_mut(thread).status = Status::Ended;
            return Ok(());
        };
        match frame {
            Frame::Host { position, stage } => self.step_host(position, stage),
            Frame::Invoke {
                task,
                thread,
                stage,
            } => self.step_invoke(task, thread, stage),
            Frame::Lift { task, stage } => self.step_lift(task, stage),
            Frame::Body { source, position } => self.step_body(source, position),
            Frame::Explicit { body, stage } => self.step_explicit(body, stage),
            Frame::Lower {
                mode,
                subtask,
                stage,
            } => self.step_lower(mode, subtask, stage),
            Frame::Wait { condition, stage } => {
                self.step_wait(condition, stage);
                Ok(())
            }
            Frame::Cancel { task, stage } => self.step_cancel(task, stage),
            Frame::SubtaskCancel {
                mode,
                subtask,
                stage,
            } => self.step_subtask_cancel(mode, subtask, stage),
            Frame::Copied { mode, end, stage } => {
                self.step_copied(mode, end, stage);
                Ok(())
            }
            Frame::HostCancel { mode, end } => {
                self.step_host_cancel(mode, end);
                Ok(())
            }
            Frame::Set { set, stage } => {
                self.step_set(set, stage);
                Ok(())
            }
            Frame::Either { traps } => Err(traps[self.answer].into()),
            Frame::Switched => {
                self.done(Answer::Number(0));
                Ok(())
            }
        }
    }

    /// Asks which of `count` it shall be: [`Model::answer`] has it in the next step.
    pub(crate) fn ask(&mut self, count: usize) {
        self.answer = 0;
        if count > 1 {
            self.question = Some(count);
        }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.trace.push(event);
    }

    /// The frames of whoever runs.
    pub(crate) fn frames(&mut self) -> &mut Vec<Frame> {
        match self.chain.last() {
            Some(thread) => &mut self.threads[thread.index()].frames,
            None => &mut self.host,
        }
    }

    pub(crate) fn push(&mut self, frame: Frame) {
        self.frames().push(frame);
    }

    /// The guest's thread that runs.
    pub(crate) fn current(&self) -> ThreadId {
        *self.chain.last().expect("a guest runs")
    }

    pub(crate) fn thread(&self, thread: ThreadId) -> &Thread {
        &self.threads[thread.index()]
    }

    pub(crate) fn thread_mut(&mut self, thread: ThreadId) -> &mut Thread {
        &mut self.threads[thread.index()]
    }

    pub(crate) fn task(&self, task: TaskId) -> &Task {
        &self.tasks[task.index()]
    }

    pub(crate) fn task_mut(&mut self, task: TaskId) -> &mut Task {
        &mut self.tasks[task.index()]
    }

    pub(crate) fn current_task(&self) -> TaskId {
        self.thread(self.current()).task
    }

    pub(crate) fn current_instance(&self) -> InstanceId {
        self.task(self.current_task()).instance
    }

    pub(crate) fn instance(&self, instance: InstanceId) -> &Instance {
        &self.instances[instance.index()]
    }

    pub(crate) fn instance_mut(&mut self, instance: InstanceId) -> &mut Instance {
        &mut self.instances[instance.index()]
    }

    pub(crate) fn subtask(&self, subtask: SubtaskId) -> &Subtask {
        &self.subtasks[subtask.index()]
    }

    pub(crate) fn subtask_mut(&mut self, subtask: SubtaskId) -> &mut Subtask {
        &mut self.subtasks[subtask.index()]
    }

    pub(crate) fn end(&self, end: EndId) -> &End {
        &self.ends[end.index()]
    }

    pub(crate) fn end_mut(&mut self, end: EndId) -> &mut End {
        &mut self.ends[end.index()]
    }

    pub(crate) fn waitable(&self, waitable: WaitableId) -> &Waitable {
        match waitable {
            WaitableId::Subtask(subtask) => &self.subtask(subtask).waitable,
            WaitableId::End(end) => &self.end(end).waitable,
        }
    }

    pub(crate) fn waitable_mut(&mut self, waitable: WaitableId) -> &mut Waitable {
        match waitable {
            WaitableId::Subtask(subtask) => &mut self.subtask_mut(subtask).waitable,
            WaitableId::End(end) => &mut self.end_mut(end).waitable,
        }
    }

    pub(crate) fn new_waitable(&mut self) -> Waitable {
        self.waitables += 1;
        Waitable {
            serial: self.waitables,
            pending: None,
            set: None,
            has_sync_waiter: false,
        }
    }

    /// A new task with its implicit thread, which has yet to be resumed.
    pub(crate) fn new_task(&mut self, task: Task, frame: Frame) -> Result<(), Halt> {
        if self.tasks.len() == MOST_TASKS {
            return Err(Halt::Limit);
        }
        let (id, function) = (TaskId(self.tasks.len() as u32), task.function);
        self.tasks.push(task);
        let label = Label {
            task: id.0,
            thread: 0,
        };
        self.new_thread(id, label, frame);
        self.tell(Event::Made(id.0, function));
        Ok(())
    }

    /// A new thread, suspended.
    pub(crate) fn new_thread(&mut self, task: TaskId, label: Label, frame: Frame) -> ThreadId {
        self.threads.push(Thread {
            task,
            label,
            index: None,
            status: Status::Suspended,
            started: false,
            context: 0,
            frames: vec![frame],
            returned: Returned::Exit,
        });
        ThreadId(self.threads.len() as u32 - 1)
    }

    /// Whether the thread waits for something that is there.
    pub(crate) fn is_ready(&self, thread: ThreadId) -> bool {
        match self.thread(thread).status {
            Status::Waiting(condition) => self.holds(condition),
            _ => false,
        }
    }

    /// The threads of an instance that are ready, oldest first.
    pub(crate) fn ready_in(&self, instance: InstanceId) -> Vec<ThreadId> {
        let threads = self.instance(instance).threads.iter();
        let mut ready: Vec<ThreadId> = threads.filter(|thread| self.is_ready(*thread)).collect();
        ready.sort();
        ready
    }

    fn holds(&self, condition: Condition) -> bool {
        match condition {
            Condition::Always => true,
            Condition::Gate(task) => !self.is_shut(task),
            Condition::LockFree(instance) => self.instance(instance).exclusive.is_none(),
            Condition::Event(set) => self.has_event(set),
            Condition::Callback(set, task) => {
                let lock = self.instance(self.task(task).instance).exclusive;
                lock.is_none() && (self.has_event(set) || self.has_pending_cancel(task))
            }
            Condition::OneEvent(waitable) => self.waitable(waitable).pending.is_some(),
            Condition::Resolved(subtask) => self.subtask(subtask).resolved(),
        }
    }

    /// Puts a thread on top of the chain.
    pub(crate) fn resume(&mut self, thread: ThreadId) {
        let record = self.thread_mut(thread);
        assert!(matches!(
            record.status,
            Status::Suspended | Status::Waiting(_)
        ));
        record.status = Status::Running;
        let (again, label) = (record.started, record.label);
        record.started = true;
        self.chain.push(thread);
        if again {
            self.tell(Event::Wake(label));
        }
    }

    /// Gives control back to whoever resumed the thread that runs.
    pub(crate) fn suspend(&mut self, status: Status) {
        let thread = self.chain.pop().expect("a guest runs");
        self.thread_mut(thread).status = status;
        let label = self.thread(thread).label;
        self.tell(Event::Block(label));
    }

    /// Waits above the frames that are there.
    pub(crate) fn wait(&mut self, condition: Condition) {
        self.push(Frame::Wait {
            condition,
            stage: Stage::First,
        });
    }

    fn step_wait(&mut self, condition: Condition, stage: Stage) {
        match stage {
            Stage::First if self.holds(condition) => {
                self.push(Frame::Wait {
                    condition,
                    stage: Stage::Asked,
                });
                self.ask(2);
            }
            Stage::Asked if self.answer == 1 => {}
            Stage::First | Stage::Asked => self.suspend(Status::Waiting(condition)),
            other => unreachable!("{other:?} of a wait"),
        }
    }

    /// The operations of the body that runs.
    pub(crate) fn operations(&self, source: Source) -> &[Op] {
        let function = usize::from(self.task(self.current_task()).function);
        match source {
            Source::Body => &self.script.functions[function].body,
            Source::Post => &self.script.functions[function].post,
            Source::Thread(body) => &self.script.threads[usize::from(body)],
        }
    }

    /// The operation of the body on top is done: it has this answer, and the next one follows.
    pub(crate) fn done(&mut self, answer: Answer) {
        let Some(Frame::Body { source, position }) = self.frames().pop() else {
            unreachable!("an operation outside of a body");
        };
        let op = self.operations(source)[position as usize];
        let place = match source {
            Source::Post => Place::Post(position),
            Source::Body | Source::Thread(_) => Place::Body(position),
        };
        let label = self.thread(self.current()).label;
        self.tell(Event::Did(label, place, op, answer));
        self.push(Frame::Body {
            source,
            position: position + 1,
        });
    }
}
