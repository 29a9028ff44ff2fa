//! Services of the runtime that compiled code calls.
//!
//! Compiled code calls a builtin by the host address in `.got.trampette`, with the platform's C
//! convention. Builtins never unwind. Every builtin takes the parameters listed here in order.
//! Those marked `root` may trap, and first take the address of the caller's own slab's root
//! ([`crate::layout::RootHeader`]): they are reached through a [`crate::key::FuncKey::Builtin`]
//! trampoline, a wasm-call function that computes it from its context, and is compiled only when a
//! relocation names it.

use serde::{Deserialize, Serialize};

/// The machine type of a builtin's parameter or result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scalar {
    /// 32-bit integer.
    I32,
    /// 64-bit integer, or a native address.
    I64,
}

/// A builtin's signature.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// Whether the address of the caller's root comes first.
    pub root: bool,
    /// The other parameters.
    pub params: &'static [Scalar],
    /// At most one result.
    pub result: Option<Scalar>,
}

/// What waiting without a timeout returns where no other thread can end it: no other has the
/// memory.
pub const WAIT_FOREVER: u32 = 3;

/// Copies and fills of more than this (bytes, or slots of tables) are called in the form that an
/// interrupt ends, in steps of as much.
pub const LONG: u64 = 64 << 10;

impl Builtin {
    /// The form of a copy or fill that an interrupt ends.
    pub fn long(self) -> Option<Builtin> {
        match self {
            Builtin::MemoryMove => Some(Builtin::MemoryMoveLong),
            Builtin::MemorySet => Some(Builtin::MemorySetLong),
            Builtin::TableFill => Some(Builtin::TableFillLong),
            _ => None,
        }
    }
}

macro_rules! builtins {
    (@root root) => { true };
    (@root pure) => { false };
    (@result) => { None };
    (@result $r:ident) => { Some(Scalar::$r) };
    ($($(#[$doc:meta])* $name:ident = $text:literal : $kind:ident ($($p:ident),*) $(-> $r:ident)?;)*) => {
        /// A service of the runtime. The order is the order of `.got.trampette`.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum Builtin { $($(#[$doc])* $name,)* }

        impl Builtin {
            /// Every builtin, in order.
            pub const ALL: &[Builtin] = &[$(Builtin::$name,)*];

            /// The builtin's name in symbols and listings.
            pub fn name(self) -> &'static str {
                match self { $(Builtin::$name => $text,)* }
            }

            /// Parameters and result.
            pub fn signature(self) -> Signature {
                match self {
                    $(Builtin::$name => Signature {
                        root: builtins!(@root $kind),
                        params: &[$(Scalar::$p,)*],
                        result: builtins!(@result $($r)?),
                    },)*
                }
            }
        }
    };
}

builtins! {
    /// Leaves guest code with a trap: `(code, payload)`; never returns. `code` is a
    /// [`crate::trap::TrapCode`]; `payload` parameterises its text (a handle index, …).
    Raise = "raise": root (I32, I64);
    /// `memory.grow`: `(memory, delta in pages) -> previous length in pages, or -1`.
    MemoryGrow = "memory-grow": root (I32, I64) -> I64;
    /// `table.grow` of a growable table: `(table, initial value, delta) -> previous length, or -1`.
    TableGrow = "table-grow": root (I32, I32, I64) -> I64;
    /// Fills 32-bit table slots: `(address of the first slot, value, count)`; bounds already
    /// checked.
    TableFill = "table-fill": pure (I64, I32, I64);
    /// `memmove(destination, source, bytes)`; bounds already checked.
    MemoryMove = "memmove": pure (I64, I64, I64);
    /// `memset(destination, byte, bytes)`; bounds already checked.
    MemorySet = "memset": pure (I64, I32, I64);
    /// Makes room in a handle table: `(handle table) -> 0, or 1 when the limit is reached`. On
    /// success the table has at least one free entry linked from its `free_head`.
    HandleTableGrow = "handle-table-grow": root (I32) -> I32;
    /// Runs the host's destructor of an imported resource: `(resource, representation) -> 0, or 1
    /// when it failed and the error is kept in the store`.
    HostResourceDrop = "host-resource-drop": root (I32, I32) -> I32;
    /// Takes memory from the store's arena: `(bytes, alignment) -> address, or 0 over the limit`.
    ArenaAllocate = "arena-allocate": root (I64, I64) -> I64;
    /// The arena's current mark, to be given back to [`Builtin::ArenaReset`].
    ArenaMark = "arena-mark": root () -> I64;
    /// Frees what was taken from the arena since the mark: `(mark)`.
    ArenaReset = "arena-reset": root (I64);
    /// Drops the values that own what the last host function's results point to.
    HostResultsRelease = "host-results-release": root ();
    /// `(address, bytes) -> 0 if valid UTF-8; 1 if invalid; 2 if it ends inside a character`.
    Utf8Validate = "utf8-validate": pure (I64, I64) -> I32;
    /// Whether all bytes are ASCII: `(address, bytes) -> 1 or 0`.
    AsciiValidate = "ascii-validate": pure (I64, I64) -> I32;
    /// UTF-16LE to UTF-8: `(source, code units, destination with 3 bytes a unit) -> bytes written,
    /// or -1`.
    Utf16ToUtf8 = "utf16-to-utf8": pure (I64, I64, I64) -> I64;
    /// Latin-1 to UTF-8: `(source, bytes, destination with 2 bytes a byte) -> bytes written`.
    Latin1ToUtf8 = "latin1-to-utf8": pure (I64, I64, I64) -> I64;
    /// UTF-8 to UTF-16LE: `(source, bytes, destination with 2 bytes a byte) -> code units written`,
    /// or -1 if the source is not UTF-8, -2 if it ends inside a character.
    Utf8ToUtf16 = "utf8-to-utf16": pure (I64, I64, I64) -> I64;
    /// UTF-8 to Latin-1 as far as it goes: `(source, bytes, destination with a byte a byte) ->
    /// bytes of the source consumed << 32 | bytes written`; stops before the first character over
    /// U+00FF. All of the source must be UTF-8: else -1, or -2 if it ends inside a character.
    Utf8ToLatin1 = "utf8-to-latin1": pure (I64, I64, I64) -> I64;
    /// Widens Latin-1 to UTF-16LE in place: `(address, bytes)`; the buffer has 2 bytes a byte.
    Latin1WidenInPlace = "latin1-widen-in-place": pure (I64, I64);
    /// Whether UTF-16LE code units all fit Latin-1, then narrows them in place:
    /// `(address, code units) -> 1 if narrowed, 0 if left as they are`.
    Utf16NarrowInPlace = "utf16-narrow-in-place": pure (I64, I64) -> I32;
    /// Checks UTF-16LE: `(address, code units) -> 0 if valid, 1 if not`.
    Utf16Validate = "utf16-validate": pure (I64, I64) -> I32;
    /// UTF-16LE to Latin-1 as far as it goes: `(source, code units, destination) -> units written`.
    Utf16ToLatin1 = "utf16-to-latin1": pure (I64, I64, I64) -> I64;
    /// Latin-1 to UTF-16LE: `(source, bytes, destination with 2 bytes a byte)`.
    Latin1ToUtf16 = "latin1-to-utf16": pure (I64, I64, I64);
    /// Validates `char`s: `(address of u32s, count) -> 0 if all are Unicode scalar values, 1 if
    /// not`.
    CharsValidate = "chars-validate": pure (I64, I64) -> I32;
    /// Normalises `bool`s in place: `(address, count)`; every non-zero byte becomes 1.
    BoolsNormalise = "bools-normalise": pure (I64, I64);
    /// Records a lend in the store's cleanup list: `(handle table, handle)`.
    LendPush = "lend-push": root (I32, I32);
    /// The length of the cleanup list of lends, to be given back to [`Builtin::LendRelease`].
    LendMark = "lend-mark": root () -> I64;
    /// Ends the lends recorded since the mark: `(mark)`.
    LendRelease = "lend-release": root (I64);
    /// Validates discriminants of enums: `(address, count, bytes of each, cases) -> 0 if all are
    /// less than the number of cases, 1 if not`.
    EnumsValidate = "enums-validate": pure (I64, I64, I32, I32) -> I32;
    /// UTF-16LE to ASCII as far as it goes: `(source, code units, destination) -> units written`.
    Utf16ToAscii = "utf16-to-ascii": pure (I64, I64, I64) -> I64;
    /// Copies bytes as long as they are ASCII: `(source, bytes, destination) -> bytes written`.
    AsciiCopy = "ascii-copy": pure (I64, I64, I64) -> I64;
    /// Clears bits in place: `(address, bytes, mask)`; the mask's 8 bytes are repeated.
    BitsMask = "bits-mask": pure (I64, I64, I64);
    /// Throws an exception: `(tag, address of its values, number of values)`; never returns. The
    /// values are in slots of [`crate::tables::EXCEPTION_SLOT`] bytes, and are copied. Control goes
    /// on in a handler ([`crate::tables::Handler`]), or the call traps.
    Throw = "throw": root (I32, I64, I32);
    /// Throws an exception again: `(reference, not null)`; never returns.
    ThrowRef = "throw-ref": root (I32);
    /// `memory.atomic.wait32` of a shared memory: `(memory, aligned address, expected value,
    /// timeout in ns) -> 0 when notified, 1 if the value is another, 2 when the time is over`, or
    /// [`WAIT_FOREVER`].
    AtomicWait32 = "atomic-wait32": root (I32, I64, I32, I64) -> I32;
    /// `memory.atomic.wait64`; see [`Builtin::AtomicWait32`].
    AtomicWait64 = "atomic-wait64": root (I32, I64, I64, I64) -> I32;
    /// `memory.atomic.notify` of a shared memory: `(memory, aligned address, most threads to wake)
    /// -> threads that were woken`.
    AtomicNotify = "atomic-notify": root (I32, I64, I32) -> I32;
    /// Keeps the message of a new error context: `(address, bytes of UTF-8) -> representation`,
    /// which is 0 if the message is discarded. It has one reference.
    ErrorContextNew = "error-context-new": root (I64, I64) -> I32;
    /// Counts one more reference to the message of an error context: `(representation)`.
    ErrorContextShare = "error-context-share": root (I32);
    /// Counts one reference less: `(representation)`.
    ErrorContextDrop = "error-context-drop": root (I32);
    /// Writes the native string of an error context's message: `(representation, address of the
    /// string)`. It is valid until the last reference is gone.
    ErrorContextMessage = "error-context-message": root (I32, I64);
    /// [`Builtin::MemoryMove`] that an interrupt ends: `(destination, source, bytes) -> 0, or 1 if
    /// it did`, on which the trampoline traps.
    MemoryMoveLong = "memmove-long": root (I64, I64, I64) -> I32;
    /// [`Builtin::MemorySet`] that an interrupt ends: `(destination, byte, bytes) -> 0, or 1 if it
    /// did`.
    MemorySetLong = "memset-long": root (I64, I32, I64) -> I32;
    /// [`Builtin::TableFill`] that an interrupt ends: `(first slot, value, count) -> 0, or 1 if it
    /// did`.
    TableFillLong = "table-fill-long": root (I64, I32, I64) -> I32;
    /// Copies UTF-8 and checks it: `(source, bytes, destination) ->` as [`Builtin::Utf8Validate`].
    Utf8Copy = "utf8-copy": pure (I64, I64, I64) -> I32;
    /// Begins a synchronously typed call that lends or is given borrowed handles, in a component
    /// with an asynchronous part: `(instance) -> address of its record`
    /// ([`crate::tasks::TaskRecord`]).
    CallBegin = "call-begin": root (I32) -> I64;
    /// Ends such a call: `(record)`. Traps if borrowed handles remain; ends its lends.
    CallEnd = "call-end": root (I64);
    /// Makes the lends since a mark those of a call or task: `(record, mark)`.
    CallLends = "call-lends": root (I64, I64);
    /// Counts one borrowed handle less of the call or task of a number: `(number)`.
    BorrowDrop = "borrow-drop": root (I32);
    /// Calls a lifted function of an `async` type: `(task, address of the flat parameters, where
    /// the result goes, mode)`, a [`crate::tasks::CallMode`]. One that waits returns 0 when the
    /// result is there; else `state | subtask << 4`.
    TaskCall = "task-call": root (I32, I64, I64, I32) -> I64;
    /// `task.return`: `(return class, instance, address of the flat values)`.
    TaskReturn = "task-return": root (I32, I32, I64);
    /// The result of a task whose lift is synchronous has been moved to its caller: `(record)`.
    TaskResolve = "task-resolve": root (I64);
    /// The result of a task that the host called, as a native value: `(record, address)`.
    TaskHostResult = "task-host-result": root (I64, I64);
    /// `task.cancel`: `(instance)`.
    TaskCancel = "task-cancel": root (I32);
    /// `thread.yield`: `(instance)`.
    ThreadYield = "thread-yield": root (I32);
    /// `backpressure.inc`: `(instance)`.
    BackpressureInc = "backpressure-inc": root (I32);
    /// `backpressure.dec`: `(instance)`.
    BackpressureDec = "backpressure-dec": root (I32);
    /// `waitable-set.new`: `(instance) -> set`.
    WaitableSetNew = "waitable-set-new": root (I32) -> I32;
    /// `waitable-set.wait`: `(instance, set, memory, address in it) -> event`.
    WaitableSetWait = "waitable-set-wait": root (I32, I32, I32, I64) -> I32;
    /// `waitable-set.poll`: `(instance, set, memory, address in it) -> event`.
    WaitableSetPoll = "waitable-set-poll": root (I32, I32, I32, I64) -> I32;
    /// `waitable-set.drop`: `(instance, set)`.
    WaitableSetDrop = "waitable-set-drop": root (I32, I32);
    /// `waitable.join`: `(instance, waitable, set or 0)`.
    WaitableJoin = "waitable-join": root (I32, I32, I32);
    /// `subtask.cancel`: `(instance, subtask, 1 if async) -> state, or -1 if it is not yet known`.
    SubtaskCancel = "subtask-cancel": root (I32, I32, I32) -> I32;
    /// `subtask.drop`: `(instance, subtask)`.
    SubtaskDrop = "subtask-drop": root (I32, I32);
    /// `stream.new` or `future.new`: `(instance, type) -> reader | writer << 32`.
    EndsNew = "ends-new": root (I32, I32) -> I64;
    /// A read or a write of a stream or future: `(copy, end, address in its memory, elements) ->
    /// result, or -1 if it is not yet known`.
    EndCopy = "end-copy": root (I32, I32, I64, I64) -> I64;
    /// A cancel or drop: `(instance, type, end, operation) -> result`, a
    /// [`crate::tasks::EndOperation`].
    EndOperate = "end-operate": root (I32, I32, I32, I32) -> I64;
    /// `stream.forward` or `future.forward`: `(instance, type, reader, writer)`.
    EndsForward = "ends-forward": root (I32, I32, I32, I32);
    /// Lifts a readable end out of an instance: `(instance, type, handle) -> number of the end`.
    EndTake = "end-take": root (I32, I32, I32) -> I32;
    /// Lowers a readable end into an instance: `(instance, type, number of the end) -> handle`.
    EndGive = "end-give": root (I32, I32, I32) -> I32;
    /// `thread.index`: `(instance) -> thread`.
    ThreadIndex = "thread-index": root (I32) -> I32;
    /// `thread.new-indirect`, after the look-up: `(instance, function, argument, 1 if the argument
    /// has 64 bits) -> thread`.
    ThreadNew = "thread-new": root (I32, I32, I64, I32) -> I32;
    /// What a thread does with another one, or with itself: `(instance, thread, operation)`, a
    /// [`crate::tasks::ThreadOperation`].
    ThreadOperate = "thread-operate": root (I32, I32, I32);
    /// Lifts a readable end for the host: `(instance, type, handle) -> place in the store`.
    EndToHost = "end-to-host": root (I32, I32, I32) -> I32;
    /// Lowers a readable end that the host gives: `(instance, type, place in the store) -> handle`.
    EndFromHost = "end-from-host": root (I32, I32, I32) -> I32;
    /// A host function was not done when it was called, and its caller goes on: `(host call, mark
    /// of its lends, where the result goes) -> state | subtask << 4`.
    HostCallGoOn = "host-call-go-on": root (I32, I64, I64) -> I32;
    /// A host function was not done when it was called, and its caller waits: `(host call, mark of
    /// its lends, address of the native result)`, which is there when this returns.
    HostCallWait = "host-call-wait": root (I32, I64, I64);
}
