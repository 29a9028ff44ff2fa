//! Canonical ABI sizes, alignments, discriminants and flattening
//! (CanonicalABI.md, *Alignment*, *Element Size*, *Flattening*).

use crate::types::{Case, DefinedType, Type, TypeTable};

/// Flat parameters beyond this many are passed through memory.
pub const MAX_FLAT_PARAMS: usize = 16;
/// Flat results beyond this many are passed through memory.
pub const MAX_FLAT_RESULTS: usize = 1;
/// Largest byte length of a list or string in linear memory: `(1 << 28) - 1`.
pub const MAX_STRING_BYTE_LENGTH: u32 = (1 << 28) - 1;
/// Largest byte length of a list's content in linear memory.
pub const MAX_LIST_BYTE_LENGTH: u32 = (1 << 28) - 1;

/// Width of a linear memory's addresses.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize,
)]
pub enum PointerWidth {
    /// 32-bit memory.
    P32,
    /// 64-bit memory.
    P64,
}

impl PointerWidth {
    /// Bytes of an address.
    pub fn bytes(self) -> u32 {
        match self {
            PointerWidth::P32 => 4,
            PointerWidth::P64 => 8,
        }
    }
}

/// A core value type of a flattened value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)]
pub enum Flat {
    I32,
    I64,
    F32,
    F64,
}

impl Flat {
    /// The type that holds either (CanonicalABI.md, `join`).
    pub fn join(self, other: Flat) -> Flat {
        match (self, other) {
            (a, b) if a == b => a,
            (Flat::I32, Flat::F32) | (Flat::F32, Flat::I32) => Flat::I32,
            _ => Flat::I64,
        }
    }
}

/// Size and alignment in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SizeAlign {
    /// Bytes, a multiple of the alignment.
    pub size: u32,
    /// A power of two.
    pub align: u32,
}

/// Rounds up to a multiple of `align`, a power of two.
pub const fn align_to(offset: u32, align: u32) -> u32 {
    offset.saturating_add(align - 1) & !(align - 1)
}

/// Bytes of the discriminant of a variant or enum with that many cases.
pub fn discriminant_size(cases: usize) -> u32 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// Bytes of flags with that many labels.
pub fn flags_size(labels: usize) -> u32 {
    match labels {
        0..=8 => 1,
        9..=16 => 2,
        _ => 4,
    }
}

/// The cases of variant, enum, option and result in one form; `None` for other types.
pub fn variant_cases(types: &TypeTable, ty: Type) -> Option<Vec<Option<Type>>> {
    let Type::Defined(id) = ty else { return None };
    match &types[id] {
        DefinedType::Variant(cases) => Some(cases.iter().map(|case: &Case| case.ty).collect()),
        DefinedType::Enum(names) => Some(vec![None; names.len()]),
        DefinedType::Option(some) => Some(vec![None, Some(*some)]),
        DefinedType::Result { ok, err } => Some(vec![*ok, *err]),
        _ => None,
    }
}

/// The fields of record and tuple in one form; `None` for other types.
pub fn record_fields(types: &TypeTable, ty: Type) -> Option<Vec<Type>> {
    let Type::Defined(id) = ty else { return None };
    match &types[id] {
        DefinedType::Record(fields) => Some(fields.iter().map(|field| field.ty).collect()),
        DefinedType::Tuple(types) => Some(types.clone()),
        _ => None,
    }
}

/// Size and alignment of a type in linear memory.
pub fn size_align(types: &TypeTable, ty: Type, width: PointerWidth) -> SizeAlign {
    let scalar = |size| SizeAlign { size, align: size };
    let pointer_pair = SizeAlign {
        size: 2 * width.bytes(),
        align: width.bytes(),
    };
    match ty {
        Type::Bool | Type::S8 | Type::U8 => scalar(1),
        Type::S16 | Type::U16 => scalar(2),
        Type::S32 | Type::U32 | Type::F32 | Type::Char | Type::ErrorContext => scalar(4),
        Type::S64 | Type::U64 | Type::F64 => scalar(8),
        Type::String => pointer_pair,
        Type::Defined(id) => match &types[id] {
            DefinedType::List(_) | DefinedType::Map(..) => pointer_pair,
            DefinedType::FixedLengthList(element, n) => {
                let element = size_align(types, *element, width);
                SizeAlign {
                    size: element.size.saturating_mul(*n),
                    align: element.align,
                }
            }
            DefinedType::Record(fields) => {
                record_layout(types, fields.iter().map(|field| field.ty), width).0
            }
            DefinedType::Tuple(fields) => record_layout(types, fields.iter().copied(), width).0,
            DefinedType::Flags(names) => scalar(flags_size(names.len())),
            DefinedType::Own(_) | DefinedType::Borrow(_) => scalar(4),
            _ => {
                let cases = variant_cases(types, ty).expect("the other kinds are variants");
                let tag = discriminant_size(cases.len());
                let payload = payload_size_align(types, &cases, width);
                let align = payload.align.max(tag);
                let offset = align_to(tag, payload.align);
                SizeAlign {
                    size: align_to(offset.saturating_add(payload.size), align),
                    align,
                }
            }
        },
    }
}

fn payload_size_align(types: &TypeTable, cases: &[Option<Type>], width: PointerWidth) -> SizeAlign {
    let mut all = SizeAlign { size: 0, align: 1 };
    for ty in cases.iter().flatten() {
        let one = size_align(types, *ty, width);
        all.size = all.size.max(one.size);
        all.align = all.align.max(one.align);
    }
    all
}

/// Offset of the payload of a variant-like type in linear memory.
pub fn payload_offset(types: &TypeTable, cases: &[Option<Type>], width: PointerWidth) -> u32 {
    align_to(
        discriminant_size(cases.len()),
        payload_size_align(types, cases, width).align,
    )
}

/// Size, alignment and field offsets of consecutive fields in linear memory.
pub fn record_layout(
    types: &TypeTable,
    fields: impl IntoIterator<Item = Type>,
    width: PointerWidth,
) -> (SizeAlign, Vec<u32>) {
    let (mut size, mut align, mut offsets) = (0, 1, Vec::new());
    for ty in fields {
        let field = size_align(types, ty, width);
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

/// Appends the flat core types of a value. Returns false, leaving `out` longer than `limit`, as
/// soon as there are more than `limit` in all (so hostile types cost nothing).
pub fn flatten(
    types: &TypeTable,
    ty: Type,
    width: PointerWidth,
    limit: usize,
    out: &mut Vec<Flat>,
) -> bool {
    let pointer = match width {
        PointerWidth::P32 => Flat::I32,
        PointerWidth::P64 => Flat::I64,
    };
    match ty {
        Type::Bool
        | Type::S8
        | Type::U8
        | Type::S16
        | Type::U16
        | Type::S32
        | Type::U32
        | Type::Char
        | Type::ErrorContext => out.push(Flat::I32),
        Type::S64 | Type::U64 => out.push(Flat::I64),
        Type::F32 => out.push(Flat::F32),
        Type::F64 => out.push(Flat::F64),
        Type::String => out.extend([pointer, pointer]),
        Type::Defined(id) => match &types[id] {
            DefinedType::List(_) | DefinedType::Map(..) => out.extend([pointer, pointer]),
            DefinedType::FixedLengthList(element, n) => {
                for _ in 0..*n {
                    if !flatten(types, *element, width, limit, out) {
                        return false;
                    }
                }
            }
            DefinedType::Flags(_) | DefinedType::Own(_) | DefinedType::Borrow(_) => {
                out.push(Flat::I32);
            }
            DefinedType::Record(_) | DefinedType::Tuple(_) => {
                for field in record_fields(types, ty).expect("a record or tuple") {
                    if !flatten(types, field, width, limit, out) {
                        return false;
                    }
                }
            }
            _ => {
                out.push(Flat::I32);
                let start = out.len();
                for case in variant_cases(types, ty).expect("the other kinds are variants") {
                    let Some(case) = case else { continue };
                    let mut flat = Vec::new();
                    if !flatten(types, case, width, limit.saturating_sub(start), &mut flat) {
                        out.resize(limit + 1, Flat::I32);
                        return false;
                    }
                    for (i, ty) in flat.into_iter().enumerate() {
                        match out.get_mut(start + i) {
                            Some(joined) => *joined = joined.join(ty),
                            None => out.push(ty),
                        }
                    }
                }
            }
        },
    }
    out.len() <= limit
}

/// The flat types of a sequence of values, or `None` when there are more than `limit`.
pub fn flatten_all(
    types: &TypeTable,
    all: impl IntoIterator<Item = Type>,
    width: PointerWidth,
    limit: usize,
) -> Option<Vec<Flat>> {
    let mut out = Vec::new();
    for ty in all {
        if !flatten(types, ty, width, limit, &mut out) {
            return None;
        }
    }
    Some(out)
}
