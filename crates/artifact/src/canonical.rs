//! Canonical ABI sizes, alignments, discriminants and flattening
//! (CanonicalABI.md, *Alignment*, *Element Size*, *Flattening*).

use crate::facts::FlatTypes;
use crate::types::{Case, DefinedType, Type, TypeTable};

/// Flat parameters beyond this many are passed through memory.
pub const MAX_FLAT_PARAMS: usize = 16;
/// Flat parameters beyond this many of a function that is lowered `async`, likewise.
pub const MAX_FLAT_ASYNC_PARAMS: usize = 4;
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

    /// The most bytes that a memory can have and a 64-bit number can count.
    pub fn most_bytes(self) -> u64 {
        match self {
            PointerWidth::P32 => 1 << 32,
            PointerWidth::P64 => 1 << 62,
        }
    }

    /// An address as a flat value.
    pub fn flat(self) -> Flat {
        match self {
            PointerWidth::P32 => Flat::I32,
            PointerWidth::P64 => Flat::I64,
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

/// Size and alignment in bytes. A type's size is below [`crate::facts::MAX_TYPE_SIZE`]; that of a
/// tuple of parameters may be larger than a 32-bit memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SizeAlign {
    /// Bytes, a multiple of the alignment.
    pub size: u64,
    /// A power of two.
    pub align: u32,
}

impl SizeAlign {
    /// Adds a field, without the padding at the end; returns its offset.
    pub(crate) fn append(&mut self, field: SizeAlign) -> u64 {
        let offset = align_to(self.size, field.align);
        self.size = offset + field.size;
        self.align = self.align.max(field.align);
        offset
    }

    /// With the padding at the end.
    pub(crate) fn padded(self) -> SizeAlign {
        SizeAlign {
            size: align_to(self.size, self.align),
            align: self.align,
        }
    }
}

/// Rounds up to a multiple of `align`, a power of two. Sizes are sums of fewer than 2^32 sizes
/// below [`crate::facts::MAX_TYPE_SIZE`]: nothing overflows.
pub const fn align_to(offset: u64, align: u32) -> u64 {
    let mask = align as u64 - 1;
    (offset + mask) & !mask
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
    types.facts(ty).size_align(width)
}

/// Offset of the payload of a variant-like type in linear memory.
pub fn payload_offset(types: &TypeTable, cases: &[Option<Type>], width: PointerWidth) -> u64 {
    let cases_with_payload = cases.iter().flatten();
    let alignments = cases_with_payload.map(|ty| size_align(types, *ty, width).align);
    let align = alignments.max().unwrap_or(1);
    align_to(discriminant_size(cases.len()).into(), align)
}

/// Size, alignment and field offsets of consecutive fields in linear memory.
pub fn record_layout(
    types: &TypeTable,
    fields: impl IntoIterator<Item = Type>,
    width: PointerWidth,
) -> (SizeAlign, Vec<u64>) {
    let mut all = SizeAlign { size: 0, align: 1 };
    let fields = fields.into_iter();
    let offsets = fields.map(|ty| all.append(size_align(types, ty, width)));
    let offsets = offsets.collect();
    (all.padded(), offsets)
}

/// The flat types of a sequence of values, or `None` when there are more than `limit`, which is at
/// most [`MAX_FLAT_PARAMS`].
pub fn flatten_all(
    types: &TypeTable,
    all: impl IntoIterator<Item = Type>,
    width: PointerWidth,
    limit: usize,
) -> Option<Vec<Flat>> {
    debug_assert!(limit <= MAX_FLAT_PARAMS);
    let mut flat = FlatTypes::default();
    for ty in all {
        flat = flat.followed_by(types.facts(ty).flat(width)?)?;
    }
    (flat.len() <= limit).then(|| flat.iter().collect())
}
