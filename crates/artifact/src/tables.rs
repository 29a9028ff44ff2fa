//! Raw arrays of an artifact, little-endian, sorted, read in place: a look-up costs a binary search
//! and loading costs nothing.
//!
//! All code offsets are bytes from the start of `.text`.

use crate::ids::TagId;

/// An element of a raw table: plain old data without padding.
///
/// # Safety
/// The type is `repr(C)`, has no padding and no invalid bit patterns.
pub unsafe trait Pod: Copy + 'static {}

/// An entry of the function table (`.rodata.functions`), indexed by function id. 16 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FunctionEntry {
    /// The function's canonical type in the artifact; 0 for null entries and padding.
    pub signature: u32,
    /// Offset of its wasm-call code from the start of the function table; fits the sign-extending
    /// 32-bit load.
    pub code: i32,
    /// Byte distance from slab 0's context to the callee's home context.
    pub context: i64,
}
// SAFETY: `repr(C)`, only integers, and their sizes add up to that of the whole.
unsafe impl Pod for FunctionEntry {}

/// log2 of the size of a [`FunctionEntry`].
pub const FUNCTION_ENTRY_SIZE_LOG2: u32 = 4;

/// An entry of a table that never changes ([`crate::key::DataKey::SealedTable`]) and whose
/// functions all take the same context. 8 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SealedEntry {
    /// The function's canonical type in the artifact; 0 for null.
    pub signature: u32,
    /// Offset of its wasm-call code from the start of the sealed table.
    pub code: i32,
}
// SAFETY: `repr(C)`, only integers, and their sizes add up to that of the whole.
unsafe impl Pod for SealedEntry {}

/// log2 of the size of a [`SealedEntry`].
pub const SEALED_ENTRY_SIZE_LOG2: u32 = 3;

/// An entry of `.trampette.functions`: sorted by key, which is also the order in `.text`. 16 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FunctionRange {
    /// First half of [`crate::key::SymbolKey::encode`].
    pub namespace: u32,
    /// Second half.
    pub index: u32,
    /// Where the function's code starts.
    pub start: u32,
    /// Bytes of code.
    pub length: u32,
}
// SAFETY: `repr(C)`, only integers, and their sizes add up to that of the whole.
unsafe impl Pod for FunctionRange {}

/// An entry of `.trampette.entries`, sorted by return address: where a trap resumes. 16 bytes.
///
/// The runtime finds the entry by the return address that the `try_call` pushed (`[entry_sp - 8]`),
/// sets SP to `entry_sp`, FP to `entry_sp + frame_offset`, and jumps to `handler`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Return address of the entry's `try_call`.
    pub return_address: u32,
    /// FP - SP at the call, in bytes.
    pub frame_offset: u32,
    /// Where its handler starts.
    pub handler: u32,
    /// Zero.
    pub reserved: u32,
}
// SAFETY: `repr(C)`, only integers, and their sizes add up to that of the whole.
unsafe impl Pod for Entry {}

/// An entry of `.trampette.inlined`: a call that was replaced by the callee's body. A site names
/// the innermost one that it is part of. 16 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InlinedCall {
    /// The callee: first half of [`crate::key::SymbolKey::encode`].
    pub namespace: u32,
    /// Second half.
    pub index: u32,
    /// Byte offset in the component of the call; [`InlinedCall::NO_SOURCE`] in trampolines.
    pub source: u32,
    /// The inlined call that this one is part of, plus one; 0 if it is the compiled function's own.
    /// It comes before this one.
    pub parent: u32,
}
// SAFETY: `repr(C)`, only integers, and their sizes add up to that of the whole.
unsafe impl Pod for InlinedCall {}

impl InlinedCall {
    /// The source of a call that comes from no instruction of the component.
    pub const NO_SOURCE: u32 = u32::MAX;
}

/// Which exceptions a handler catches and what it needs of them: a number that Cranelift carries
/// from an exception table to a [`Handler`].
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Catch(u32);
// SAFETY: transparent over a `u32`, of which every bit pattern is valid here.
unsafe impl Pod for Catch {}

impl Catch {
    const REFERENCE: u32 = 1;

    /// Catches exceptions with `tag`, or with any tag if it is `None`.
    ///
    /// # Panics
    /// If the component has more than 2^30 tags; the validator's limits are far below.
    pub fn new(tag: Option<TagId>, needs: CatchNeeds) -> Catch {
        let tag = tag.map_or(0, |tag| tag.0 + 1);
        assert!(tag < 1 << 30, "more than 2^30 tags");
        let reference = match needs {
            CatchNeeds::Values => 0,
            CatchNeeds::Reference => Catch::REFERENCE,
        };
        Catch(tag << 1 | reference)
    }

    /// The catch with this number.
    pub fn from_number(number: u32) -> Catch {
        Catch(number)
    }

    /// The number.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The tag it catches; `None` if it catches every tag.
    pub fn tag(self) -> Option<TagId> {
        (self.0 >> 1).checked_sub(1).map(TagId)
    }

    /// Whether it catches exceptions with `tag`.
    pub fn catches(self, tag: TagId) -> bool {
        self.tag().is_none_or(|own| own == tag)
    }

    /// What it needs.
    pub fn needs(self) -> CatchNeeds {
        match self.0 & Catch::REFERENCE {
            0 => CatchNeeds::Values,
            _ => CatchNeeds::Reference,
        }
    }
}

/// What the code of a handler needs of the exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CatchNeeds {
    /// At most its values, which it reads before anything else can throw.
    Values,
    /// A reference to it, which may live on.
    Reference,
}

/// An entry of `.trampette.exceptions`: where control goes when the callee of a call in a core
/// function is left by an exception. Sorted by return address; those of one call are in the order
/// in which they are tried. 16 bytes.
///
/// The runtime finds a frame's entries by the return address of the call that it is waiting for,
/// sets SP to `FP - frame_offset`, and jumps to `handler` with the exception's id in the first and
/// the address of its values in the second exception register. Values are in slots of
/// [`EXCEPTION_SLOT`] bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handler {
    /// Return address of the call.
    pub return_address: u32,
    /// FP - SP at the call, in bytes.
    pub frame_offset: u32,
    /// Where the handler's code starts.
    pub handler: u32,
    /// What it catches.
    pub catch: Catch,
}
// SAFETY: `repr(C)`, only integers, and their sizes add up to that of the whole.
unsafe impl Pod for Handler {}

/// Bytes of each value of an exception; also its alignment.
pub const EXCEPTION_SLOT: u32 = 16;

/// The bytes of a table.
pub fn as_bytes<T: Pod>(entries: &[T]) -> &[u8] {
    // SAFETY: `Pod` types have no padding, so every byte is initialised.
    unsafe { std::slice::from_raw_parts(entries.as_ptr().cast(), size_of_val(entries)) }
}

/// A table read in place; `None` if the bytes are misaligned or no whole number of entries.
pub fn from_bytes<T: Pod>(bytes: &[u8]) -> Option<&[T]> {
    if bytes.as_ptr().align_offset(align_of::<T>()) != 0
        || !bytes.len().is_multiple_of(size_of::<T>())
    {
        return None;
    }
    // SAFETY: aligned, in bounds, and every bit pattern of a `Pod` type is valid.
    Some(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_pinned() {
        assert_eq!(size_of::<FunctionEntry>(), 1 << FUNCTION_ENTRY_SIZE_LOG2);
        assert_eq!(size_of::<SealedEntry>(), 1 << SEALED_ENTRY_SIZE_LOG2);
        assert_eq!(size_of::<FunctionRange>(), 16);
        assert_eq!(size_of::<Entry>(), 16);
        assert_eq!(size_of::<Handler>(), 16);
        assert_eq!(size_of::<InlinedCall>(), 16);
    }

    #[test]
    fn catches_round_trip() {
        for tag in [None, Some(TagId(0)), Some(TagId(7))] {
            for needs in [CatchNeeds::Values, CatchNeeds::Reference] {
                let catch = Catch::from_number(Catch::new(tag, needs).number());
                assert_eq!((catch.tag(), catch.needs()), (tag, needs));
                assert_eq!(catch.catches(TagId(7)), tag != Some(TagId(0)));
            }
        }
    }

    #[test]
    fn tables_are_read_in_place() {
        let entry = |return_address| Entry {
            return_address,
            frame_offset: 16,
            handler: 1,
            reserved: 0,
        };
        let table = [entry(4), entry(9)];
        let bytes = as_bytes(&table);
        assert_eq!(from_bytes::<Entry>(bytes), Some(&table[..]));
        assert_eq!(from_bytes::<Entry>(&bytes[..15]), None);
        assert_eq!(from_bytes::<Entry>(&bytes[1..17]), None);
    }
}
