//! Trap codes and their canonical texts.
//!
//! Texts are those that the official suites expect; codes with a parameter take it from the
//! payload of [`crate::builtin::Builtin::Raise`].

use serde::{Deserialize, Serialize};

macro_rules! traps {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Why guest code ended abnormally. The number is what trap tables and raise stubs carry;
        /// 0 is never used.
        ///
        /// ```
        /// use trampette_artifact::trap::TrapCode;
        ///
        /// let texts: Vec<String> = TrapCode::ALL.iter().map(|code| code.text(0)).collect();
        /// assert!(texts.contains(&TrapCode::Unreachable.text(0)));
        /// ```
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum TrapCode { $($(#[$doc])* $name = $code,)* }

        impl TrapCode {
            /// Every code.
            pub const ALL: &[TrapCode] = &[$(TrapCode::$name,)*];

            /// The code with this number.
            pub fn from_number(number: u8) -> Option<TrapCode> {
                match number { $($code => Some(TrapCode::$name),)* _ => None }
            }

            /// The text without its parameter; `{}` stands where the payload goes.
            pub fn template(self) -> &'static str {
                match self { $(TrapCode::$name => $text,)* }
            }
        }
    };
}

traps! {
    /// The `unreachable` instruction.
    Unreachable = 1, "wasm `unreachable` instruction executed";
    /// A memory access out of bounds.
    MemoryOutOfBounds = 2, "out of bounds memory access";
    /// A table access out of bounds.
    TableOutOfBounds = 3, "undefined element: out of bounds table access";
    /// A null entry called through a table.
    IndirectCallToNull = 4, "uninitialized element";
    /// A call through a table with another type.
    BadSignature = 5, "indirect call type mismatch";
    /// Signed division overflow.
    IntegerOverflow = 6, "integer overflow";
    /// Division by zero.
    IntegerDivisionByZero = 7, "integer divide by zero";
    /// A float out of the integer's range, or NaN.
    BadConversionToInteger = 8, "invalid conversion to integer";
    /// The stack limit was reached.
    StackOverflow = 9, "call stack exhausted";
    /// A null reference where none is allowed.
    NullReference = 10, "null reference";
    /// An atomic access that is not aligned.
    UnalignedAtomic = 11, "unaligned atomic";
    /// `memory.atomic.wait` on a memory that is not shared.
    AtomicWaitNonShared = 12, "expected shared memory";
    /// The embedder asked for the interruption.
    Interrupt = 13, "interrupt";
    /// A host function returned an error; the error itself is in the store.
    HostError = 14, "host function returned an error";
    /// A table access out of bounds by a table instruction.
    TableAccessOutOfBounds = 15, "out of bounds table access";
    /// An uncaught exception reached a canonical boundary or the host.
    UncaughtException = 16, "uncaught exception";
    /// `throw_ref` of a null reference.
    NullException = 17, "null exception reference";
    /// `memory.atomic.wait` without a timeout, where no other thread can notify.
    WaitForever = 18, "wait without a timeout that no other thread can end";

    /// A call out of a component instance whose `may_leave` is false.
    CannotLeave = 32, "cannot leave component instance";
    /// A call of the host into a component that is running or has trapped.
    CannotEnter = 33, "cannot enter component instance";
    /// A pointer of the guest that is not aligned for its type.
    UnalignedPointer = 34, "unaligned pointer";
    /// A list's bytes reach beyond the memory.
    ListOutOfBounds = 35, "list content out-of-bounds";
    /// A string's bytes reach beyond the memory.
    StringOutOfBounds = 36, "string pointer/length out of bounds of memory";
    /// A spilled tuple of parameters or results reaches beyond the memory.
    PointerOutOfBounds = 37, "pointer out of bounds of memory";
    /// `realloc` returned memory that reaches beyond the end.
    ReallocOutOfBounds = 38, "realloc return: beyond end of memory";
    /// `realloc` returned memory that is not aligned.
    ReallocUnaligned = 39, "realloc return: result not aligned";
    /// A `char` that is no Unicode scalar value.
    InvalidChar = 40, "invalid `char` bit pattern";
    /// A discriminant of a variant, enum, option or result out of range.
    InvalidDiscriminant = 41, "invalid variant discriminant";
    /// A string that is not UTF-8.
    InvalidUtf8 = 42, "invalid utf-8";
    /// A string that ends inside a UTF-8 character.
    IncompleteUtf8 = 43, "incomplete utf-8 byte sequence";
    /// A string that is not UTF-16.
    InvalidUtf16 = 44, "unpaired surrogate found: invalid utf-16";
    /// A string longer than the Canonical ABI allows.
    StringTooLong = 45, "string is too long: out-of-bounds size";
    /// A list longer than the Canonical ABI allows.
    ListTooLong = 46, "list is too long: out-of-bounds size";
    /// A handle that the table does not have; the payload is the index.
    UnknownHandle = 47, "unknown handle index {}";
    /// A handle of another resource type (guest-defined where another guest-defined is expected);
    /// the payload is the index.
    HandleTypeMismatch = 48, "handle index {} used with the wrong type, expected guest-defined resource but found a different guest-defined resource";
    /// A handle that is lent was passed on or dropped.
    HandleLent = 49, "cannot remove owned resource while borrowed";
    /// An owned handle was expected, a borrowed one found; the payload is the index.
    HandleNotOwned = 50, "handle index {} is a borrow where an owned handle is needed";
    /// Borrowed handles are still there when the call ends.
    BorrowsRemain = 51, "borrow handles still remain at the end of the call";
    /// The handle table is full.
    HandleTableFull = 52, "the limit of handles is reached";
    /// The store's arena for values towards the host is full.
    ArenaLimit = 53, "the limit of memory for values passed to the host is reached";
    /// A handle of the host that the store does not know; the payload is the index.
    UnknownHostHandle = 54, "unknown host handle {}";
    /// A handle of another resource type, of which at least one is the host's; the payload is the
    /// index.
    HandleTypeMismatchHost = 55, "handle index {} used with the wrong type";
    /// A string's bytes reach beyond the memory after reallocation.
    StringContentOutOfBounds = 56, "string content out-of-bounds";
    /// A checked native access of an unsafe intrinsic out of its bounds.
    NativeOutOfBounds = 57, "native access out of bounds";
    /// The store's memory for exceptions is full of exceptions that are still referred to.
    ExceptionLimit = 59, "the limit of memory for exceptions is reached";
    /// The store's deadline has passed.
    Deadline = 60, "the deadline has passed";
    /// The store's memory for handle tables and lends is full.
    BookkeepingLimit = 61, "the limit of memory for handles and lends is reached";
    /// A call gave the host more values than the store lets it take over.
    ValueLimit = 62, "the limit of memory for values that the host takes over is reached";
    /// As many tasks as the store allows have a stack.
    TaskStackLimit = 63, "the limit of stacks of tasks is reached";
    /// The system refuses to map a stack for a task.
    TaskStackRefused = 64, "the system has no memory for the stack of a task";
    /// A synchronously typed call waits, and nothing of its instance can go on.
    CannotBlock = 70, "cannot block a synchronous task before returning";
    /// An operation that waits for a waitable alone, while that is in a waitable set; or the
    /// reverse.
    WaitableInSet = 71, "waitable cannot be used synchronously while added to a waitable set";
    /// A call has no result yet, and nothing can go on.
    Deadlock = 72, "deadlock detected: event loop cannot make further progress";
    /// What a callback, or a function with one, returned.
    CallbackCode = 73, "unsupported callback code";
    /// A task ended without a result.
    NoResult = 74, "async-lifted export failed to produce a result";
    /// `task.return` with another type or other options than those of the task's lift, or in a
    /// task that was not lifted with `async`.
    TaskReturnMismatch = 75, "invalid `task.return` signature and/or options for current task";
    /// A task gave a result after it had given one or was cancelled.
    TaskResolvedTwice = 76, "`task.return` or `task.cancel` called more than once for current task";
    /// `task.cancel` in a task that was not told to.
    TaskNotCancelled = 77, "`task.cancel` called by task which has not been cancelled";
    /// `subtask.drop` before the caller knows how it ended.
    SubtaskUnresolved = 78, "cannot drop a subtask which has not yet resolved";
    /// `subtask.cancel` after the caller knows how it ended.
    SubtaskDelivered = 79, "`subtask.cancel` called after terminal status delivered";
    /// `subtask.cancel` once more.
    SubtaskCancelledTwice = 80, "`subtask.cancel` called more than once for the same subtask";
    /// `waitable-set.drop` while somebody waits for it.
    SetHasWaiters = 81, "cannot drop waitable set with waiters";
    /// `waitable-set.drop` of one that is not empty.
    SetHasMembers = 82, "cannot drop waitable set with waitables in it";
    /// `backpressure.inc` more often than can be counted.
    BackpressureOverflow = 83, "backpressure counter overflow";
    /// `backpressure.dec` more often than `backpressure.inc`.
    BackpressureUnderflow = 84, "backpressure counter underflow";
    /// As many tasks as the store allows.
    TaskLimit = 85, "the limit of tasks is reached";
    /// As many ends of streams and futures as the store allows.
    EndLimit = 86, "the limit of ends of streams and futures is reached";
    /// As many waitable sets as the store allows.
    SetLimit = 87, "the limit of waitable sets is reached";
    /// No more records of tasks, ends and sets fit in an instance, or the system refuses memory.
    RecordsFull = 88, "the memory for tasks, streams and futures is full";
    /// A thread that is not suspended was named by who wanted to resume it.
    ThreadNotSuspended = 115, "cannot resume thread which is not suspended";
    /// A thread that an instance does not have; the payload is the index.
    UnknownThread = 116, "unknown thread index {}";
    /// A read or write while another one, or its cancellation, is active.
    EndBusy = 90, "cannot have concurrent operations active on a future/stream";
    /// `stream.read` after the writable end was dropped.
    StreamReadDone = 91, "cannot read from stream after being notified that the writable end dropped";
    /// `stream.write` after the readable end was dropped.
    StreamWriteDone = 92, "cannot write to stream after being notified that the readable end dropped";
    /// `future.read` after the value was read.
    FutureReadDone = 93, "cannot read from future after previous read succeeded";
    /// `future.write` after a value was written.
    FutureWriteDone = 94, "cannot write to future after previous write succeeded or readable end dropped";
    /// A stream that is read was passed on, or its readable end dropped.
    StreamLiftBusy = 95, "cannot remove busy stream";
    /// A future that is read was passed on, or its readable end dropped.
    FutureLiftBusy = 96, "cannot remove busy future";
    /// A stream whose writable end was dropped was passed on.
    StreamLiftDone = 97, "cannot lift stream after being notified that the writable end dropped";
    /// A future that was read was passed on.
    FutureLiftDone = 98, "cannot lift future after previous read succeeded";
    /// A stream in a waitable set was passed on.
    StreamLiftInSet = 99, "cannot lift stream while it's in a waitable set";
    /// A future in a waitable set was passed on.
    FutureLiftInSet = 100, "cannot lift future while it's in a waitable set";
    /// The writable end of a stream was dropped while it is written.
    StreamDropBusy = 101, "cannot drop busy stream";
    /// The writable end of a future was dropped while it is written.
    FutureDropBusy = 102, "cannot drop busy future";
    /// The writable end of a future was dropped without a value.
    FutureUnwritten = 103, "cannot drop future write end without first writing a value";
    /// `stream.forward` of an end that is read or written.
    StreamForwardBusy = 104, "cannot forward busy stream";
    /// `future.forward` of an end that is read or written.
    FutureForwardBusy = 105, "cannot forward busy future";
    /// `stream.forward` of an end in a waitable set.
    StreamForwardInSet = 106, "cannot forward stream while it's in a waitable set";
    /// `future.forward` of an end in a waitable set.
    FutureForwardInSet = 107, "cannot forward future while it's in a waitable set";
    /// `stream.forward` from a stream whose writable end was dropped.
    StreamForwardReadDone = 108, "cannot forward stream after being notified that the writable end dropped";
    /// `stream.forward` to a stream whose readable end was dropped.
    StreamForwardWriteDone = 109, "cannot forward stream after being notified that the readable end dropped";
    /// `future.forward` from a future that was read.
    FutureForwardReadDone = 110, "cannot forward future after previous read succeeded";
    /// `future.forward` to a future that was written.
    FutureForwardWriteDone = 111, "cannot forward future after previous write succeeded or readable end dropped";
    /// Both ends of a stream or future are used in one instance, and its elements are no numbers.
    EndsOfOneInstance = 112, "cannot read from and write to intra-component future/stream with non-numeric payload";
    /// A cancellation without a read or write.
    NothingToCancel = 113, "no read or write of the stream or future is pending that could be cancelled";
    /// A read or write of more elements than the Canonical ABI allows.
    CopyTooLong = 114, "a read or write of a stream has too many elements";
}

impl TrapCode {
    /// This code's number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The full text, with `payload` where the template has a place for it.
    pub fn text(self, payload: u64) -> String {
        self.template().replace("{}", &payload.to_string())
    }
}
