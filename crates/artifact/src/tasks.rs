//! Tasks of the asynchronous part: what compiled code and the runtime tell each other about them.
//!
//! A task is one call of a lifted function (CanonicalABI.md, *Task State*) that the runtime runs:
//! of one with an `async` type, or of a synchronous one that waits on a stack of its own. Compiled
//! code moves values and calls core functions; when that happens, and on which stack, is the
//! runtime's. So a call is cut into pieces, each a native-call entry that the runtime calls with
//! the task's [`TaskRecord`]:
//!
//! | key | does |
//! | --- | --- |
//! | [`crate::key::FuncKey::TaskBody`] | lowers the parameters, calls the core function |
//! | [`crate::key::FuncKey::TaskCallback`] | one call of the callback |
//! | [`crate::key::FuncKey::TaskResult`] | moves what `task.return` is given to the caller |
//!
//! A host function that is not done at once is a task, too, with no piece but
//! [`crate::key::FuncKey::ImportResult`], which moves what it came to.
//!
//! The first three are compiled for each [`TaskEntry`]: a lifted function together with one of its
//! callers, since what moves values knows both sides.

use crate::ids::*;
use serde::{Deserialize, Serialize};

/// The head of the runtime's record of a task: what compiled code reads and writes of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct TaskRecord {
    /// Where the parameters are: flat ones as an array of 64-bit slots, those of the host as their
    /// native struct. Read by [`crate::key::FuncKey::TaskBody`] alone.
    pub params: u64,
    /// Where the caller wants the result. A caller that waits: the address of a slot for the flat
    /// result, or the pointer into its memory that it passed. One that does not: that pointer. The
    /// host: not used.
    pub results: u64,
    /// What borrowed handles name the task by ([`crate::layout::HandleEntry::extra`]).
    pub number: u32,
    /// Borrowed handles that the task holds.
    pub borrows: u32,
    /// What the core function or the callback returned, for a lift with a callback.
    pub code: u32,
    /// Zero.
    pub reserved: u32,
}

/// How a core function was lifted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LiftKind {
    /// Without `async`: its results are the task's.
    Synchronous,
    /// `async` without a callback: it blocks on a stack of its own.
    Stackful,
    /// `async` with a callback: it returns a code that says what it waits for.
    Callback,
}

/// How a lifted function is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CallShape {
    /// As a function of a synchronous type: nothing can keep it from beginning, it ends before it
    /// returns, and nobody asks for its task.
    Plain,
    /// As a task in its caller's place: it blocks nobody, but may be kept from entering, or have a
    /// callback that is called later.
    InPlace,
    /// As a task on a stack of its own.
    OnStack,
}

/// A lifted function together with who calls it: each of an `async` type, and those of synchronous
/// types whose callers perhaps let others go on above them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskEntry {
    /// The component instance that lifts it.
    pub instance: ComponentInstanceId,
    /// The component instance that lowers it; `None` for the host.
    pub caller: Option<ComponentInstanceId>,
    /// What the host calls it by.
    pub export: Option<ExportId>,
    /// How it is lifted; `None` if its type is synchronous: then its caller does not wait, but lets
    /// other threads of the instance go on in its place until it has the result.
    pub lift: Option<LiftKind>,
    /// How it is called; one that is called as a function of a synchronous type has no code as a
    /// task.
    pub shape: CallShape,
    /// Flat parameters that a caller passes which does not wait, without the pointer for the
    /// result.
    pub async_params: u32,
    /// Which `task.return` fits: equal numbers for equal result types and lift options.
    pub return_class: u32,
    /// A name for messages.
    pub name: String,
}

/// A lowered import of an `async` type: what the runtime must know if the host is not done at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HostCallEntry {
    /// The component instance that lowers it.
    pub instance: ComponentInstanceId,
    /// The import.
    pub import: ImportId,
    /// Whether it has a [`crate::key::FuncKey::ImportResult`]: it has a result, and its caller does
    /// not wait for it.
    pub lowers_later: bool,
}

/// A read or a write of a stream or a future, as a canonical built-in declares it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CopyEntry {
    /// The component instance.
    pub instance: ComponentInstanceId,
    /// The type of the stream or future.
    pub ty: TypeId,
    /// Which end.
    pub end: EndKind,
    /// Whether the guest goes on when it must wait.
    pub is_async: bool,
    /// The memory of the buffer, if elements have any bytes.
    pub memory: Option<MemoryId>,
    /// How elements lie there, if there are any.
    pub element: Option<ElementLayout>,
}

/// How elements of a stream or a future lie in a memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ElementLayout {
    /// Bytes from one to the next.
    pub size: u64,
    /// Their alignment, a power of two.
    pub align: u32,
    /// Whether they are moved as bytes: any bytes are a value, in every memory the same.
    pub is_bitwise: bool,
}

/// Whose elements are carried to whom by code of their own. At most one of the two is the host's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct CopyPair {
    /// The write; `None` if the host writes, from native memory.
    pub write: Option<CopyId>,
    /// The read; `None` if the host reads, to native memory.
    pub read: Option<CopyId>,
}

/// Which end of a stream or future.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum EndKind {
    Reader,
    Writer,
}

/// Cancels or drops of an end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u32)]
pub enum EndOperation {
    /// `cancel-read` that waits.
    CancelRead = 0,
    /// `cancel-read` with `async`.
    CancelReadAsync = 1,
    /// `cancel-write` that waits.
    CancelWrite = 2,
    /// `cancel-write` with `async`.
    CancelWriteAsync = 3,
    /// `drop-readable`.
    DropReadable = 4,
    /// `drop-writable`.
    DropWritable = 5,
}

impl EndOperation {
    /// All of them, by their numbers.
    pub const ALL: [EndOperation; 6] = [
        EndOperation::CancelRead,
        EndOperation::CancelReadAsync,
        EndOperation::CancelWrite,
        EndOperation::CancelWriteAsync,
        EndOperation::DropReadable,
        EndOperation::DropWritable,
    ];
}

/// Built-ins that suspend a thread or let another one go on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u32)]
pub enum ThreadOperation {
    /// `thread.resume-later`.
    ResumeLater = 0,
    /// `thread.suspend`, which names no other thread.
    Suspend = 1,
    /// `thread.suspend-then-resume`.
    SuspendThenResume = 2,
    /// `thread.yield-then-resume`.
    YieldThenResume = 3,
    /// `thread.suspend-then-promote`.
    SuspendThenPromote = 4,
    /// `thread.yield-then-promote`.
    YieldThenPromote = 5,
}

impl ThreadOperation {
    /// All of them, by their numbers.
    pub const ALL: [ThreadOperation; 6] = [
        ThreadOperation::ResumeLater,
        ThreadOperation::Suspend,
        ThreadOperation::SuspendThenResume,
        ThreadOperation::YieldThenResume,
        ThreadOperation::SuspendThenPromote,
        ThreadOperation::YieldThenPromote,
    ];
}

/// How a lowered function is called: the last argument of [`crate::builtin::Builtin::TaskCall`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum CallMode {
    /// The caller gets the result.
    Waits = 0,
    /// The caller goes on with a subtask (`async`).
    GoesOn = 1,
}

/// States of a subtask, in the low four bits of what an `async` lower returns (CanonicalABI.md,
/// *Subtask State*).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum SubtaskState {
    Starting = 0,
    Started = 1,
    Returned = 2,
    CancelledBeforeStarted = 3,
    CancelledBeforeReturned = 4,
}

/// What the runtime knows of the asynchronous part of a component; empty without one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Concurrency {
    /// Tasks.
    pub tasks: IdVec<TaskId, TaskEntry>,
    /// Imports of `async` types.
    pub host_calls: IdVec<HostCallId, HostCallEntry>,
    /// Reads and writes of streams and futures.
    pub copies: IdVec<CopyId, CopyEntry>,
    /// Pairs of a write and a read of one type whose elements are not moved as bytes, sorted.
    pub pairs: IdVec<CopyPairId, CopyPair>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_pinned() {
        assert_eq!(size_of::<TaskRecord>(), 32);
        for (number, operation) in EndOperation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, number);
        }
        for (number, operation) in ThreadOperation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, number);
        }
    }
}
