//! Native layout: the C (`repr(C)`) layout of a component-level value on the host's side.
//!
//! | WIT | native |
//! | --- | --- |
//! | `u8`/`s8` … `u64`/`s64`, `f32`, `f64` | the integer, the float |
//! | `bool`, `char` | `u8` (0 or 1), `u32` |
//! | `string` | `{ptr, len}`, 16 bytes, valid UTF-8 |
//! | `list<T>`, `map<K, V>` | `{ptr, len}` of native `T` (of native `(K, V)`) |
//! | `list<T, N>` | `[T; N]` |
//! | `record`, `tuple` | `repr(C)` struct |
//! | `variant`, `option`, `result` | `{tag: u8/u16/u32, union}` `repr(C)` |
//! | `enum`, `flags` | smallest integer that holds it: 1, 2 or 4 bytes |
//! | `own`, `borrow`, `error-context` | `u32` |
//!
//! Parameters of a function are one struct of their native layouts in order; a result is itself.
//! Handles: of a resource that the component imports, the host's own representation; of a resource
//! that the component defines, an index into the host's handle table
//! ([`crate::layout::RootLayout::host_instance`]). The pointer of an empty string or list is
//! dangling but aligned and never null.

use crate::canonical::{self, PointerWidth, SizeAlign};
use crate::types::{Type, TypeTable};

/// A struct of parameters that the host writes or reads takes fewer bytes than this, as a type
/// does: functions of others are refused when they are compiled.
pub const MAX_STRUCT_SIZE: u64 = crate::facts::MAX_TYPE_SIZE;
/// Bytes of a native `{ptr, len}`; the length is at [`SLICE_LENGTH_OFFSET`].
pub const SLICE_SIZE: u32 = 16;
/// Offset of the length in a native string or list.
pub const SLICE_LENGTH_OFFSET: u32 = 8;

/// Host addresses are 64 bits wide, so native layout is the canonical layout of a 64-bit linear
/// memory: the same sizes, alignments and offsets, and addresses where that has offsets.
const WIDTH: PointerWidth = PointerWidth::P64;

/// Size and alignment of a type in native memory.
pub fn size_align(types: &TypeTable, ty: Type) -> SizeAlign {
    canonical::size_align(types, ty, WIDTH)
}

/// Offset of the payload of a variant-like type.
pub fn payload_offset(types: &TypeTable, cases: &[Option<Type>]) -> u64 {
    canonical::payload_offset(types, cases, WIDTH)
}

/// Size, alignment and field offsets of consecutive fields.
pub fn record_layout(
    types: &TypeTable,
    fields: impl IntoIterator<Item = Type>,
) -> (SizeAlign, Vec<u64>) {
    canonical::record_layout(types, fields, WIDTH)
}
