//! What can be seen of a run.
//!
//! A [`Trace`] has only what a runtime can see too, so that the runtime's own trace of a script can
//! be looked for among the model's ([`crate::explore::accepts`]). Each event has a [`Level`]:
//!
//! * [`Level::Seen`]: guests and the host see it themselves (results of built-ins, arguments of
//!   callbacks, which core function runs when, results of calls). Fast paths must not change it.
//! * [`Level::Told`]: only the runtime's observer can tell it (a thread blocks, a task is
//!   resolved). A fast path that takes no record may leave it out, so it is compared only in the
//!   general mode.
//!
//! Numbers are the order of making: tasks `t0`, `t1`, … when a lifted function is called, whether
//! or not it may start; their explicit threads `t0.1`, …; calls of the host `c0`, …; calls of its
//! functions `p0`, …. A guest cannot know how many tasks were made before its own, only how many
//! have started, so [`seen`] numbers tasks in the order of [`Event::Start`].
//!
//! A guest that runs scripts tells: `start` when its core function is called for the first time, or
//! an explicit thread begins; each operation when it is done, with its result; `callback` when its
//! callback is called; `exit` before it returns from a core function that has no callback, before
//! it returns the code EXIT, and before an explicit thread ends. The host tells its own calls and
//! those of its functions before it does anything for them.

use crate::script::{Kind, Op, Side};
use crate::traps::Trap;
use std::fmt::{self, Display, Formatter};

/// All events of a run, in order; the last is an [`Event::End`].
pub type Trace = Vec<Event>;

/// Who can know of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Guests or the host.
    Seen,
    /// The runtime's observer.
    Told,
}

/// A thread, by what can be seen of it: its task, and which of the task's threads it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Label {
    /// The task.
    pub task: u32,
    /// 0 is the implicit thread.
    pub thread: u32,
}

/// Where in its function an operation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In the body.
    Body(u32),
    /// In the `post-return`.
    Post(u32),
}

/// How a copy ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyResult {
    /// The buffers met.
    Completed,
    /// The other end is gone.
    Dropped,
    /// It was asked to.
    Cancelled,
}

/// What a subtask's caller knows of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SubtaskState {
    /// The callee may not enter yet.
    Starting,
    /// It has its parameters.
    Started,
    /// It has given its result.
    Returned,
    /// It was cancelled without having had its parameters.
    CancelledBeforeStarted,
    /// It was cancelled instead of giving a result.
    CancelledBeforeReturned,
}

/// An event as a guest gets it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivered {
    /// There was none.
    None,
    /// The subtask at this index.
    Subtask(u32, SubtaskState),
    /// A copy by the end at this index, with the number of elements.
    Copy {
        /// Of a stream or of a future.
        kind: Kind,
        /// Which of its ends.
        side: Side,
        /// The end's index.
        index: u32,
        /// How it ended.
        result: CopyResult,
        /// Elements that were copied.
        progress: u32,
    },
    /// The task was asked to cancel.
    TaskCancelled,
}

/// What an operation answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It has no result.
    Nothing,
    /// There was no handle to use it on.
    Skipped,
    /// A handle, an index, a value.
    Number(u32),
    /// The two ends of a new pair.
    Ends(u32, u32),
    /// `BLOCKED`.
    Blocked,
    /// A copy ended.
    Copied(Kind, CopyResult, u32),
    /// A call or its cancellation: the state, and the handle if there is one.
    Subtask(SubtaskState, Option<u32>),
    /// An event.
    Event(Delivered),
}

/// How a task or a call was resolved.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Resolution {
    /// With its result.
    Returned,
    /// Without.
    Cancelled,
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The host has done all it wanted to.
    Finished,
    /// A trap, or a deadlock found.
    Trap(Trap),
    /// The host would wait for ever for a function of its own.
    Waits,
    /// More tasks than a run may have.
    Limit,
}

/// An event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A task is made for a function.
    Made(u32, u8),
    /// A core function, or an explicit thread, begins.
    Start(Label),
    /// An operation is done.
    Did(Label, Place, Op, Answer),
    /// A callback is called.
    Callback(Label, Delivered),
    /// The core function (with all its callbacks), or the explicit thread, has ended.
    Exit(Label),
    /// A thread gives up control without ending.
    Block(Label),
    /// It gets it back.
    Wake(Label),
    /// A task returns its result or is cancelled.
    Resolve(u32, Resolution),
    /// Elements go from a writer to a reader.
    Copy(u32),
    /// The host calls a function.
    HostCall(u32, u8),
    /// Its call is resolved.
    HostResolve(u32, Resolution),
    /// A guest calls a function of the host.
    ImportCall(u32, u8),
    /// That call is resolved.
    ImportResolve(u32, Resolution),
    /// The run is over.
    End(End),
}

impl Event {
    /// Who can know of it.
    pub fn level(&self) -> Level {
        match self {
            Event::Made(..)
            | Event::Block(_)
            | Event::Wake(_)
            | Event::Resolve(..)
            | Event::Copy(_) => Level::Told,
            _ => Level::Seen,
        }
    }
}

impl Display for Label {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.thread {
            0 => write!(f, "t{}", self.task),
            thread => write!(f, "t{}.{thread}", self.task),
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Place::Body(index) => write!(f, "@{index}"),
            Place::Post(index) => write!(f, "post@{index}"),
        }
    }
}

impl Display for CopyResult {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CopyResult::Completed => "completed",
            CopyResult::Dropped => "dropped",
            CopyResult::Cancelled => "cancelled",
        })
    }
}

impl Display for SubtaskState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SubtaskState::Starting => "starting",
            SubtaskState::Started => "started",
            SubtaskState::Returned => "returned",
            SubtaskState::CancelledBeforeStarted => "cancelled-before-started",
            SubtaskState::CancelledBeforeReturned => "cancelled-before-returned",
        })
    }
}

impl Display for Resolution {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resolution::Returned => "returned",
            Resolution::Cancelled => "cancelled",
        })
    }
}

fn copied(f: &mut Formatter<'_>, kind: Kind, result: CopyResult, progress: u32) -> fmt::Result {
    match kind {
        Kind::Stream => write!(f, "{result} {progress}"),
        Kind::Future => write!(f, "{result}"),
    }
}

impl Display for Delivered {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Delivered::None => write!(f, "none"),
            Delivered::Subtask(index, state) => write!(f, "subtask {index} {state}"),
            Delivered::Copy {
                kind,
                side,
                index,
                result,
                progress,
            } => {
                write!(f, "{kind}-{} {index} ", side.verb())?;
                copied(f, *kind, *result, *progress)
            }
            Delivered::TaskCancelled => write!(f, "task-cancelled"),
        }
    }
}

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Nothing => Ok(()),
            Answer::Skipped => write!(f, ": skipped"),
            Answer::Number(number) => write!(f, ": {number}"),
            Answer::Ends(reader, writer) => write!(f, ": {reader} {writer}"),
            Answer::Blocked => write!(f, ": blocked"),
            Answer::Copied(kind, result, progress) => {
                write!(f, ": ")?;
                copied(f, *kind, *result, *progress)
            }
            Answer::Subtask(state, None) => write!(f, ": {state}"),
            Answer::Subtask(state, Some(handle)) => write!(f, ": {state} {handle}"),
            Answer::Event(event) => write!(f, ": {event}"),
        }
    }
}

impl Display for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            End::Finished => write!(f, "end"),
            End::Trap(trap) => write!(f, "trap {trap}"),
            End::Waits => write!(f, "waits"),
            End::Limit => write!(f, "limit"),
        }
    }
}

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Event::Made(task, function) => write!(f, "t{task} made f{function}"),
            Event::Start(label) => write!(f, "{label} start"),
            Event::Did(label, place, op, answer) => write!(f, "{label} {place} {op}{answer}"),
            Event::Callback(label, event) => write!(f, "{label} callback {event}"),
            Event::Exit(label) => write!(f, "{label} exit"),
            Event::Block(label) => write!(f, "{label} block"),
            Event::Wake(label) => write!(f, "{label} wake"),
            Event::Resolve(task, how) => write!(f, "t{task} resolve {how}"),
            Event::Copy(count) => write!(f, "copy {count}"),
            Event::HostCall(call, function) => write!(f, "c{call} call f{function}"),
            Event::HostResolve(call, how) => write!(f, "c{call} {how}"),
            Event::ImportCall(call, import) => write!(f, "p{call} call h{import}"),
            Event::ImportResolve(call, how) => write!(f, "p{call} {how}"),
            Event::End(end) => write!(f, "{end}"),
        }
    }
}

/// What of a trace guests and the host see themselves, with tasks numbered as they start.
pub fn seen(trace: &[Event]) -> Trace {
    let mut started = Started::default();
    trace
        .iter()
        .filter_map(|event| started.seen(event))
        .collect()
}

/// Tasks that have started, in order.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Started(Vec<u32>);

impl Started {
    /// The next event as it is seen, if it is.
    pub(crate) fn seen(&mut self, event: &Event) -> Option<Event> {
        if event.level() == Level::Told {
            return None;
        }
        if let Event::Start(Label { task, thread: 0 }) = event {
            self.0.push(*task);
        }
        let number = |label: &Label| {
            let known = self.0.iter().position(|task| *task == label.task);
            let task = known.expect("a task starts before it does anything");
            Label {
                task: task as u32,
                thread: label.thread,
            }
        };
        Some(match event {
            Event::Start(label) => Event::Start(number(label)),
            Event::Did(label, place, op, answer) => Event::Did(number(label), *place, *op, *answer),
            Event::Callback(label, delivered) => Event::Callback(number(label), *delivered),
            Event::Exit(label) => Event::Exit(number(label)),
            other => *other,
        })
    }
}

/// A trace as text, a line for each event.
pub fn text(trace: &[Event]) -> String {
    trace.iter().map(|event| format!("{event}\n")).collect()
}
