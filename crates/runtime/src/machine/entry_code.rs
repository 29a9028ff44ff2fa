//! Addresses of code that the host calls, typed by what the code takes.
//!
//! An address becomes one of these types where it is looked up, and is called by the one method of
//! its type: nothing else turns an address into a function.

use crate::load::component::ExportCode;
use crate::machine::store::StoreInner;
use std::num::NonZeroUsize;
use trampette_artifact::layout::ValRaw;
use trampette_artifact::tasks::TaskRecord;

/// For each kind of code the type of its functions and the type of their addresses.
macro_rules! entries {
    ($(
        $(#[$doc:meta])*
        $name:ident, $code:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty;
    )*) => {$(
        #[doc = concat!("A function at a [`", stringify!($name), "`].")]
        pub(crate) type $code = unsafe extern "C" fn($($argument: $type),*) -> $result;

        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name(NonZeroUsize);

        impl $name {
            /// The code at an address; `None` for 0.
            #[inline(always)]
            pub(crate) fn at(address: usize) -> Option<$name> {
                NonZeroUsize::new(address).map($name)
            }

            /// Calls the code.
            ///
            /// # Safety
            /// It is code of this kind and mapped, and the arguments are what it takes: mapped
            /// contexts, the store they belong to, and structs or values of the code's own
            /// parameters and results.
            #[inline(always)]
            pub(crate) unsafe fn call(self, $($argument: $type),*) -> $result {
                // SAFETY: by the contract a function of this type is at the address.
                let code: $code = unsafe { std::mem::transmute(self.0) };
                // SAFETY: the caller's promise.
                unsafe { code($($argument),*) }
            }
        }
    )*};
}

entries! {
    /// The native-call entry of an export; the result is a status.
    NativeEntry, NativeCode(context: *mut u8, args: *const u8, results: *mut u8) -> u32;

    /// A native-call function without arguments: a start-up step or a post-return. The result is a
    /// status.
    StepEntry, StepCode(context: *mut u8) -> u32;

    /// The native-call entry to a guest resource's destructor; the result is a status.
    DropEntry, DropCode(context: *mut u8, rep: u32) -> u32;

    /// The native-call entry of a task's body; the result is a status.
    BodyEntry, BodyCode(context: *mut u8, record: *mut TaskRecord) -> u32;

    /// The native-call entry of a task's callback, with an event; the result is a status.
    CallbackEntry, CallbackCode(
        context: *mut u8,
        record: *mut TaskRecord,
        event: u32,
        first: u32,
        second: u32,
    ) -> u32;

    /// The native-call entry to what moves a task's result, from flat values in 64-bit slots; the
    /// result is a status.
    ResultEntry, ResultCode(
        context: *mut u8,
        record: *mut TaskRecord,
        values: *const u64,
    ) -> u32;

    /// The native-call entry to what lowers the result of a host function that was not done when it
    /// was called; the result is a status.
    ImportResultEntry, ImportResultCode(
        context: *mut u8,
        record: *mut TaskRecord,
        native: *const u8,
    ) -> u32;

    /// The native-call entry to what begins an explicit thread; the result is a status.
    ThreadEntry, ThreadCode(context: *mut u8, function: u32, argument: u64) -> u32;

    /// The native-call entry to what copies elements of a stream or future between two addresses;
    /// the result is a status.
    CopyEntry, CopyCode(context: *mut u8, from: u64, to: u64, count: u64) -> u32;

    /// The array-call entry of a core function; the result is whether it returned normally.
    ArrayEntry, ArrayCode(
        context: *mut u8,
        caller: *mut u8,
        values: *mut ValRaw,
        length: usize,
    ) -> bool;

    /// A host function in a component's import slot. The result is
    /// [`HOST_OK`](trampette_artifact::layout::HOST_OK),
    /// [`HOST_ERROR`](trampette_artifact::layout::HOST_ERROR), or
    /// [`HOST_PENDING`](trampette_artifact::layout::HOST_PENDING).
    HostEntry, HostCode(
        data: *const u8,
        store: *const StoreInner,
        args: *const u8,
        results: *mut u8,
    ) -> u32;

    /// A host function in a core import slot; the result is as of a [`HostEntry`].
    CoreHostEntry, CoreHostCode(
        data: *const u8,
        store: *const StoreInner,
        values: *mut ValRaw,
        length: usize,
    ) -> u32;
}

/// Code of an export that is a function.
#[derive(Clone, Copy)]
pub(crate) struct EntryCode {
    pub(crate) entry: NativeEntry,
    pub(crate) post_return: Option<StepEntry>,
}

impl EntryCode {
    /// `None` if the export has no code.
    pub(crate) fn new(code: ExportCode) -> Option<EntryCode> {
        Some(EntryCode {
            entry: NativeEntry::at(code.entry?)?,
            post_return: code.post_return.and_then(StepEntry::at),
        })
    }
}
