//! Why a component traps, with the texts that the official suite's scripts expect where they expect
//! any. The definitions only say *that* something traps; which text belongs to it is decided here.

use crate::script::{Kind, Side};
use std::fmt::{self, Display, Formatter};

/// Which of the operations on an end found it in a state that does not allow it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Use {
    /// `read`, `write`.
    Copy,
    /// The end is given to somebody else.
    Lift,
    /// `forward`.
    Forward,
    /// `drop-readable`, `drop-writable`.
    Drop,
}

/// A trap. Its text says what it means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum Trap {
    CannotLeave,
    CannotBlock,
    Deadlock,
    Unreachable,
    UnknownHandle(u32),
    WrongType(u32),
    CallbackCode,
    NoResult,
    NotAsyncLifted,
    AlreadyResolved,
    NotCancelled,
    SynchronousInSet,
    SynchronousWaiter,
    SubtaskDelivered,
    SubtaskCancelledTwice,
    SubtaskUnresolved,
    SetHasMembers,
    SetHasWaiters,
    BackpressureOverflow,
    BackpressureUnderflow,
    UnknownThread(u32),
    NotSuspended,
    Busy(Kind, Side, Use),
    Done(Kind, Side, Use),
    InSet(Kind, Use),
    Unwritten,
    NoCopy(Side),
    SameInstance,
    BorrowsRemain,
    Lent,
}

/// Texts without operands, and the beginnings of those that have some.
///
/// A runtime's text need only contain one of these.
pub const KNOWN: &[&str] = &[
    "cannot leave component instance",
    "cannot block a synchronous task before returning",
    "deadlock detected: event loop cannot make further progress",
    "unreachable",
    "unknown handle index ",
    "handle index ",
    "unsupported callback code",
    "async-lifted export failed to produce a result",
    "invalid `task.return` signature and/or options for current task",
    "`task.return` or `task.cancel` called more than once for current task",
    "`task.cancel` called by task which has not been cancelled",
    "waitable cannot be used synchronously while added to a waitable set",
    "`subtask.cancel` called after terminal status delivered",
    "`subtask.cancel` called more than once for the same subtask",
    "cannot drop a subtask which has not yet resolved",
    "cannot drop waitable set with waitables in it",
    "cannot drop waitable set with waiters",
    "backpressure counter overflow",
    "backpressure counter underflow",
    "unknown thread index ",
    "cannot resume thread which is not suspended",
    "cannot have concurrent operations active on a future/stream",
    "cannot forward busy ",
    "cannot remove busy ",
    "cannot drop busy ",
    "cannot read from stream after being notified that the writable end dropped",
    "cannot write to stream after being notified that the readable end dropped",
    "cannot lift stream after being notified that the writable end dropped",
    "cannot forward stream after being notified that the writable end dropped",
    "cannot forward stream after being notified that the readable end dropped",
    "cannot read from future after previous read succeeded",
    "cannot write to future after previous write succeeded or readable end dropped",
    "cannot lift future after previous read succeeded",
    "cannot forward future after previous read succeeded",
    "cannot forward future after previous write succeeded or readable end dropped",
    "cannot lift stream while it's in a waitable set",
    "cannot lift future while it's in a waitable set",
    "cannot forward stream while it's in a waitable set",
    "cannot forward future while it's in a waitable set",
    "cannot drop future write end without first writing a value",
    "no read or write of the stream or future is pending that could be cancelled",
    "cannot read from and write to intra-component future/stream with non-numeric payload",
    "borrow handles still remain at the end of the call",
    "cannot remove owned resource while borrowed",
];

impl Display for Trap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Trap::CannotLeave => "cannot leave component instance",
            Trap::CannotBlock => "cannot block a synchronous task before returning",
            Trap::Deadlock => "deadlock detected: event loop cannot make further progress",
            Trap::Unreachable => "unreachable",
            Trap::UnknownHandle(index) => return write!(f, "unknown handle index {index}"),
            Trap::WrongType(index) => {
                return write!(f, "handle index {index} used with the wrong type");
            }
            Trap::CallbackCode => "unsupported callback code",
            Trap::NoResult => "async-lifted export failed to produce a result",
            Trap::NotAsyncLifted => {
                "invalid `task.return` signature and/or options for current task"
            }
            Trap::AlreadyResolved => {
                "`task.return` or `task.cancel` called more than once for current task"
            }
            Trap::NotCancelled => "`task.cancel` called by task which has not been cancelled",
            Trap::SynchronousInSet => {
                "waitable cannot be used synchronously while added to a waitable set"
            }
            Trap::SubtaskDelivered => "`subtask.cancel` called after terminal status delivered",
            Trap::SubtaskCancelledTwice => {
                "`subtask.cancel` called more than once for the same subtask"
            }
            Trap::SubtaskUnresolved => "cannot drop a subtask which has not yet resolved",
            Trap::SetHasMembers => "cannot drop waitable set with waitables in it",
            Trap::SetHasWaiters => "cannot drop waitable set with waiters",
            Trap::BackpressureOverflow => "backpressure counter overflow",
            Trap::BackpressureUnderflow => "backpressure counter underflow",
            Trap::UnknownThread(index) => return write!(f, "unknown thread index {index}"),
            Trap::NotSuspended => "cannot resume thread which is not suspended",
            Trap::Busy(_, _, Use::Copy) | Trap::SynchronousWaiter => {
                "cannot have concurrent operations active on a future/stream"
            }
            Trap::Busy(kind, _, Use::Forward) => return write!(f, "cannot forward busy {kind}"),
            Trap::Busy(kind, _, Use::Lift) | Trap::Busy(kind, Side::Reader, Use::Drop) => {
                return write!(f, "cannot remove busy {kind}");
            }
            Trap::Busy(kind, Side::Writer, Use::Drop) => {
                return write!(f, "cannot drop busy {kind}");
            }
            Trap::Done(kind, side, purpose) => return done(f, kind, side, purpose),
            Trap::InSet(kind, Use::Forward) => {
                return write!(f, "cannot forward {kind} while it's in a waitable set");
            }
            Trap::InSet(kind, _) => {
                return write!(f, "cannot lift {kind} while it's in a waitable set");
            }
            Trap::Unwritten => "cannot drop future write end without first writing a value",
            Trap::NoCopy(_) => {
                "no read or write of the stream or future is pending that could be cancelled"
            }
            Trap::BorrowsRemain => "borrow handles still remain at the end of the call",
            Trap::Lent => "cannot remove owned resource while borrowed",
            Trap::SameInstance => {
                "cannot read from and write to intra-component future/stream with non-numeric payload"
            }
        };
        f.write_str(text)
    }
}

fn done(f: &mut Formatter<'_>, kind: Kind, side: Side, purpose: Use) -> fmt::Result {
    let verb = match (purpose, side) {
        (Use::Forward, _) => "forward",
        (Use::Copy, Side::Writer) => "write to",
        (Use::Copy, Side::Reader) => "read from",
        _ => "lift",
    };
    let reason = match (kind, side) {
        (Kind::Stream, Side::Reader) => "being notified that the writable end dropped",
        (Kind::Stream, Side::Writer) => "being notified that the readable end dropped",
        (Kind::Future, Side::Reader) => "previous read succeeded",
        (Kind::Future, Side::Writer) => "previous write succeeded or readable end dropped",
    };
    write!(f, "cannot {verb} {kind} after {reason}")
}
