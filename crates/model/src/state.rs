//! The state of a run: instances, tasks, threads, subtasks, ends, sets.
//!
//! Everything is plain data in lists, named by number, so that a state can be copied wherever a
//! choice is open. Records are never freed: a run is short.

use crate::machine::Frame;
use crate::script::{GLOBALS, Kind, LOCALS, Side, Slot};
use crate::trace::{CopyResult, Label, Resolution, SubtaskState};
use crate::traps::Trap;

/// Numbers of records.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
            pub(crate) struct $name(pub(crate) u32);

            impl $name {
                pub(crate) fn index(self) -> usize {
                    self.0 as usize
                }
            }
        )+
    };
}

ids!(
    /// A task, in the order of making.
    TaskId,
    /// A thread, in the order of making.
    ThreadId,
    /// A subtask.
    SubtaskId,
    /// An end of a stream or of a future.
    EndId,
    /// A waitable set.
    SetId,
    /// A handle of a resource.
    ResourceId,
    /// A component instance.
    InstanceId,
);

/// A table whose first index is 1, and which reuses first what was freed last.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Table<T> {
    entries: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T: Copy> Table<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: vec![None],
            free: Vec::new(),
        }
    }

    pub(crate) fn get(&self, index: u32) -> Option<T> {
        self.entries.get(index as usize).copied().flatten()
    }

    pub(crate) fn add(&mut self, entry: T) -> u32 {
        match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = Some(entry);
                index
            }
            None => {
                self.entries.push(Some(entry));
                self.entries.len() as u32 - 1
            }
        }
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let entry = self.entries.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(entry)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.entries.iter().copied().flatten()
    }
}

/// What an index of a guest stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Handle {
    Subtask(SubtaskId),
    End(EndId),
    Set(SetId),
    Resource(ResourceId),
}

/// A handle of a resource.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Resource {
    /// The task that borrowed it; none if it is owned.
    pub(crate) scope: Option<TaskId>,
    /// Calls that it is lent to.
    pub(crate) lends: u32,
}

/// What is on its way from one instance to another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Passed {
    End(EndId),
    Borrow,
}

/// What can have an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum WaitableId {
    Subtask(SubtaskId),
    End(EndId),
}

/// A component instance.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Instance {
    pub(crate) handles: Table<Handle>,
    /// Threads that have entered and not ended.
    pub(crate) threads: Table<ThreadId>,
    pub(crate) may_leave: bool,
    pub(crate) backpressure: u32,
    pub(crate) waiting_to_enter: u32,
    /// Who holds the lock.
    pub(crate) exclusive: Option<ThreadId>,
    pub(crate) globals: [u32; GLOBALS as usize],
}

impl Instance {
    pub(crate) fn new() -> Self {
        Self {
            handles: Table::new(),
            threads: Table::new(),
            may_leave: true,
            backpressure: 0,
            waiting_to_enter: 0,
            exclusive: None,
            globals: [0; GLOBALS as usize],
        }
    }

    pub(crate) fn set(&self, index: u32) -> Result<SetId, Trap> {
        match self.handles.get(index).ok_or(Trap::UnknownHandle(index))? {
            Handle::Set(set) => Ok(set),
            _ => Err(Trap::WrongType(index)),
        }
    }

    pub(crate) fn waitable(&self, index: u32) -> Result<WaitableId, Trap> {
        match self.handles.get(index).ok_or(Trap::UnknownHandle(index))? {
            Handle::Subtask(subtask) => Ok(WaitableId::Subtask(subtask)),
            Handle::End(end) => Ok(WaitableId::End(end)),
            Handle::Set(_) | Handle::Resource(_) => Err(Trap::WrongType(index)),
        }
    }

    pub(crate) fn resource(&self, index: u32) -> Result<ResourceId, Trap> {
        match self.handles.get(index).ok_or(Trap::UnknownHandle(index))? {
            Handle::Resource(resource) => Ok(resource),
            _ => Err(Trap::WrongType(index)),
        }
    }

    pub(crate) fn subtask(&self, index: u32) -> Result<SubtaskId, Trap> {
        match self.waitable(index)? {
            WaitableId::Subtask(subtask) => Ok(subtask),
            WaitableId::End(_) => Err(Trap::WrongType(index)),
        }
    }
}

/// Who called a lifted function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Caller {
    /// A guest, which has this subtask.
    Guest(SubtaskId),
    /// The host: the number of its call.
    Host(u32),
}

/// How far a task is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum TaskState {
    Initial,
    Started,
    PendingCancel,
    CancelDelivered,
    Resolved,
}

/// A call of a lifted function, seen from its instance.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Task {
    pub(crate) function: u8,
    pub(crate) instance: InstanceId,
    pub(crate) caller: Caller,
    pub(crate) state: TaskState,
    pub(crate) implicit: ThreadId,
    /// Its threads that have entered and not ended.
    pub(crate) threads: Vec<ThreadId>,
    /// Explicit threads made so far.
    pub(crate) made: u32,
    pub(crate) locals: [u32; LOCALS as usize],
    /// Where the next callback goes on.
    pub(crate) position: u32,
    /// Handles that it borrowed and has not dropped.
    pub(crate) borrows: u32,
    /// Whether a callback was told to cancel.
    pub(crate) told: bool,
}

/// What a thread waits for. It is ready if this holds *now*.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Condition {
    /// Nothing.
    Always,
    /// Its task may enter.
    Gate(TaskId),
    /// The lock is free.
    LockFree(InstanceId),
    /// The set has an event.
    Event(SetId),
    /// The lock is free, and the set has an event or the task a cancellation.
    Callback(SetId, TaskId),
    /// The waitable has an event.
    OneEvent(WaitableId),
    /// The subtask is resolved.
    Resolved(SubtaskId),
}

/// Whether a thread runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Status {
    /// It is on the chain of threads that resumed each other.
    Running,
    /// Somebody must resume it.
    Suspended,
    /// It can be resumed when the condition holds.
    Waiting(Condition),
    /// It has ended.
    Ended,
}

/// What a core function returned to its lift.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Returned {
    Exit,
    Yield,
    Wait(u32),
    Unknown,
    /// A result, of a function that is lifted without `async`.
    Value(u32),
}

/// A thread, with all it has to do yet as a stack of frames.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Thread {
    pub(crate) task: TaskId,
    pub(crate) label: Label,
    /// Its index among its instance's threads, once it has entered.
    pub(crate) index: Option<u32>,
    pub(crate) status: Status,
    /// Whether it has run before.
    pub(crate) started: bool,
    pub(crate) context: u32,
    pub(crate) frames: Vec<Frame>,
    pub(crate) returned: Returned,
}

/// An event that is not delivered yet. Most of its contents are computed when it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Pending {
    Subtask,
    /// With the progress of the copy.
    Copy(u32),
}

/// What all that can have an event has.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Waitable {
    /// The order of making, over all kinds.
    pub(crate) serial: u32,
    pub(crate) pending: Option<Pending>,
    pub(crate) set: Option<SetId>,
    pub(crate) has_sync_waiter: bool,
}

/// Who was called.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Callee {
    Task(TaskId),
    /// The number of the call of a host function.
    Import(u32),
}

/// A call of a lowered function, seen from its caller.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Subtask {
    pub(crate) waitable: Waitable,
    pub(crate) instance: InstanceId,
    pub(crate) state: SubtaskState,
    pub(crate) callee: Option<Callee>,
    pub(crate) delivered: bool,
    /// What is lent to it until its resolution is delivered.
    pub(crate) lent: Vec<ResourceId>,
    pub(crate) cancel_requested: bool,
    /// Its index in its instance, if its caller got one: then changes are events.
    pub(crate) handle: Option<u32>,
    pub(crate) argument: u32,
    /// Where a result goes of which the caller gave the address.
    pub(crate) out: Option<(TaskId, Slot)>,
    /// The result, otherwise.
    pub(crate) value: Option<u32>,
}

impl Subtask {
    pub(crate) fn resolved(&self) -> bool {
        !matches!(self.state, SubtaskState::Starting | SubtaskState::Started)
    }
}

/// How far an end is with copying.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum EndState {
    Idle,
    Copying,
    Cancelling,
    Done,
}

/// A guest's buffer, without its contents.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Buffer {
    pub(crate) length: u32,
    pub(crate) progress: u32,
}

impl Buffer {
    pub(crate) fn remain(self) -> u32 {
        self.length - self.progress
    }
}

/// One of two linked ends.
#[derive(Clone, Hash, Debug)]
pub(crate) struct End {
    pub(crate) waitable: Waitable,
    pub(crate) kind: Kind,
    pub(crate) side: Side,
    pub(crate) state: EndState,
    /// None once the other one was dropped.
    pub(crate) other: Option<EndId>,
    pub(crate) buffer: Option<Buffer>,
    /// None while the host has it.
    pub(crate) owner: Option<InstanceId>,
    pub(crate) index: Option<u32>,
}

impl End {
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.state, EndState::Copying | EndState::Cancelling)
    }

    /// What the event of a copy says, and the state that it leaves behind.
    pub(crate) fn outcome(&self, progress: u32) -> (CopyResult, EndState) {
        let completed = self.kind == Kind::Future && progress == 1;
        match self.state {
            _ if completed => (CopyResult::Completed, EndState::Done),
            _ if self.other.is_none() => (CopyResult::Dropped, EndState::Done),
            EndState::Cancelling => (CopyResult::Cancelled, EndState::Idle),
            _ => (CopyResult::Completed, EndState::Idle),
        }
    }
}

/// A waitable set.
#[derive(Clone, Hash, Debug, Default)]
pub(crate) struct WaitableSet {
    pub(crate) members: Vec<WaitableId>,
    pub(crate) waiting: u32,
}

/// A call that the host made.
#[derive(Clone, Hash, Debug)]
pub(crate) struct HostCall {
    pub(crate) task: TaskId,
    pub(crate) resolution: Option<Resolution>,
    pub(crate) cancel_requested: bool,
    /// An end that it got and has not dropped yet.
    pub(crate) result: Option<EndId>,
}

/// A call of a function of the host.
#[derive(Clone, Hash, Debug)]
pub(crate) struct ImportCall {
    pub(crate) import: u8,
    pub(crate) subtask: SubtaskId,
    pub(crate) resolved: bool,
}
