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
