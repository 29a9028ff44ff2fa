//! Native layout: the C (`repr(C)`) layout of a component-level value on the host's side.
//!
//! | WIT | native |
//! | --- | --- |
//! | `bool`, `u8`/`s8` … `u64`/`s64`, `f32`, `f64`, `char` | `u8` (0 or 1), the integer, the float, `u32` |
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

use crate::canonical::{SizeAlign, align_to, discriminant_size, flags_size, variant_cases};
use crate::types::{DefinedType, Type, TypeTable};

/// Bytes of a native `{ptr, len}`; the length is at [`SLICE_LENGTH_OFFSET`].
pub const SLICE_SIZE: u32 = 16;
/// Offset of the length in a native string or list.
pub const SLICE_LENGTH_OFFSET: u32 = 8;

/// Size and alignment of a type in native memory.
pub fn size_align(types: &TypeTable, ty: Type) -> SizeAlign {
    let scalar = |size| SizeAlign { size, align: size };
    let slice = SizeAlign {
        size: SLICE_SIZE,
        align: 8,
    };
    match ty {
        Type::Bool | Type::S8 | Type::U8 => scalar(1),
        Type::S16 | Type::U16 => scalar(2),
        Type::S32 | Type::U32 | Type::F32 | Type::Char | Type::ErrorContext => scalar(4),
        Type::S64 | Type::U64 | Type::F64 => scalar(8),
        Type::String => slice,
        Type::Defined(id) => match &types[id] {
            DefinedType::List(_) | DefinedType::Map(..) => slice,
            DefinedType::FixedLengthList(element, n) => {
                let element = size_align(types, *element);
                SizeAlign {
                    size: element.size.saturating_mul(*n),
                    align: element.align,
                }
            }
            DefinedType::Record(fields) => {
                record_layout(types, fields.iter().map(|field| field.ty)).0
            }
            DefinedType::Tuple(fields) => record_layout(types, fields.iter().copied()).0,
            DefinedType::Flags(names) => scalar(flags_size(names.len())),
            DefinedType::Own(_) | DefinedType::Borrow(_) => scalar(4),
            _ => {
                let cases = variant_cases(types, ty).expect("the other kinds are variants");
                let tag = discriminant_size(cases.len());
                let payload = payload_size_align(types, &cases);
                let align = payload.align.max(tag);
                SizeAlign {
                    size: align_to(
                        align_to(tag, payload.align).saturating_add(payload.size),
                        align,
                    ),
                    align,
                }
            }
        },
    }
}

fn payload_size_align(types: &TypeTable, cases: &[Option<Type>]) -> SizeAlign {
    let mut all = SizeAlign { size: 0, align: 1 };
    for ty in cases.iter().flatten() {
        let one = size_align(types, *ty);
        all.size = all.size.max(one.size);
        all.align = all.align.max(one.align);
    }
    all
}

/// Offset of the payload of a variant-like type.
pub fn payload_offset(types: &TypeTable, cases: &[Option<Type>]) -> u32 {
    align_to(
        discriminant_size(cases.len()),
        payload_size_align(types, cases).align,
    )
}

/// Size, alignment and field offsets of consecutive fields.
pub fn record_layout(
    types: &TypeTable,
    fields: impl IntoIterator<Item = Type>,
) -> (SizeAlign, Vec<u32>) {
    let (mut size, mut align, mut offsets) = (0, 1, Vec::new());
    for ty in fields {
        let field = size_align(types, ty);
        size = align_to(size, field.align);
        offsets.push(size);
        // Huge fixed-length lists are refused by the validator; here they must only not overflow.
        size = size.saturating_add(field.size);
        align = align.max(field.align);
    }
    (
        SizeAlign {
            size: align_to(size, align),
            align,
        },
        offsets,
    )
}

/// Whether a value's bytes are the same in a 32-bit linear memory and natively, and every bit
/// pattern is valid: numbers, and records, tuples and fixed-length lists of them.
pub fn is_bitwise(types: &TypeTable, ty: Type) -> bool {
    match ty {
        Type::S8
        | Type::U8
        | Type::S16
        | Type::U16
        | Type::S32
        | Type::U32
        | Type::S64
        | Type::U64
        | Type::F32
        | Type::F64 => true,
        Type::Bool | Type::Char | Type::String | Type::ErrorContext => false,
        Type::Defined(id) => match &types[id] {
            DefinedType::Record(fields) => fields.iter().all(|f| is_bitwise(types, f.ty)),
            DefinedType::Tuple(fields) => fields.iter().all(|ty| is_bitwise(types, *ty)),
            DefinedType::FixedLengthList(element, _) => is_bitwise(types, *element),
            _ => false,
        },
    }
}
