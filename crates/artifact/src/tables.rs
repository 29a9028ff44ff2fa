//! Raw arrays of an artifact, little-endian, sorted, read in place: a look-up costs a binary search
//! and loading costs nothing.
//!
//! All code offsets are bytes from the start of `.text`.

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
unsafe impl Pod for FunctionEntry {}

/// log2 of the size of a [`FunctionEntry`].
pub const FUNCTION_ENTRY_SIZE_LOG2: u32 = 4;

/// An entry of `.trampette.functions`: sorted by key, which is also the order in `.text`. 16 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CompiledFunction {
    /// First half of [`crate::key::SymbolKey::encode`].
    pub namespace: u32,
    /// Second half.
    pub index: u32,
    /// Where the function's code starts.
    pub start: u32,
    /// Bytes of code.
    pub length: u32,
}
unsafe impl Pod for CompiledFunction {}

/// An entry of `.trampette.traps`, sorted by offset. 8 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trap {
    /// Offset of the instruction that may fault.
    pub offset: u32,
    /// A [`crate::trap::TrapCode`].
    pub code: u32,
}
unsafe impl Pod for Trap {}

/// An entry of `.trampette.addrmap`, sorted by offset. 8 bytes. It holds until the next entry.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// First code offset of the range.
    pub offset: u32,
    /// Byte offset in the component's binary, or [`Address::NONE`].
    pub source: u32,
}
unsafe impl Pod for Address {}

impl Address {
    /// Code that belongs to no instruction.
    pub const NONE: u32 = u32::MAX;
}

/// An entry of `.trampette.entries`, sorted by return address: where a trap resumes. 16 bytes.
///
/// The runtime finds the entry by the return address that the `try_call` pushed
/// (`[entry_sp - 8]`), sets SP to `entry_sp`, FP to `entry_sp + frame_offset`, and jumps to `handler`.
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
unsafe impl Pod for Entry {}

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
        assert_eq!(size_of::<CompiledFunction>(), 16);
        assert_eq!(size_of::<Trap>(), 8);
        assert_eq!(size_of::<Address>(), 8);
        assert_eq!(size_of::<Entry>(), 16);
    }

    #[test]
    fn tables_are_read_in_place() {
        let table = [Trap { offset: 4, code: 1 }, Trap { offset: 9, code: 2 }];
        let bytes = as_bytes(&table);
        assert_eq!(from_bytes::<Trap>(bytes), Some(&table[..]));
        assert_eq!(from_bytes::<Trap>(&bytes[..15]), None);
        assert_eq!(from_bytes::<Trap>(&bytes[1..9]), None);
    }
}
