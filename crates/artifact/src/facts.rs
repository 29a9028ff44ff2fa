//! What is known about a type without its values. It is found once, when the type enters its table,
//! from what is known about its parts: so questions about types cost no walk through them, however
//! often they name each other, and no type is in a table that is larger than any may be.

use crate::canonical::{
    Flat, MAX_FLAT_PARAMS, PointerWidth, SizeAlign, align_to, discriminant_size, flags_size,
};
use crate::types::{DefinedType, Type, TypeTable};
use std::fmt;
use std::sync::LazyLock;

/// A type takes fewer bytes than this, wherever it is: validation holds the same limit.
pub const MAX_TYPE_SIZE: u64 = 1 << 28;
/// Deepest nesting of types: validation holds the same limit.
pub const MAX_TYPE_DEPTH: u32 = 100;

/// Why a type cannot be in a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TypeError {
    /// It would take at least [`MAX_TYPE_SIZE`] bytes.
    TooLarge,
    /// It is nested deeper than [`MAX_TYPE_DEPTH`].
    TooDeep,
    /// It names a type that is not before it in the table.
    Unknown,
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TypeError::TooLarge => write!(f, "a type takes {MAX_TYPE_SIZE} bytes or more"),
            TypeError::TooDeep => write!(f, "types are nested deeper than {MAX_TYPE_DEPTH} levels"),
            TypeError::Unknown => write!(f, "a type refers to itself or is unknown"),
        }
    }
}

impl std::error::Error for TypeError {}

/// What values of a type hold, at any depth.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Contents {
    /// Strings, lists or maps: pointers into memory.
    pub pointers: bool,
    /// Strings.
    pub strings: bool,
    /// Lists or maps whose elements a host cannot read where a guest keeps them.
    pub copied_lists: bool,
    /// Owned handles.
    pub owned: bool,
    /// Borrowed handles.
    pub borrowed: bool,
    /// Ends of streams or futures.
    pub ends: bool,
}

impl Contents {
    fn add(&mut self, other: Contents) {
        self.pointers |= other.pointers;
        self.strings |= other.strings;
        self.copied_lists |= other.copied_lists;
        self.owned |= other.owned;
        self.borrowed |= other.borrowed;
        self.ends |= other.ends;
    }
}

/// At most [`MAX_FLAT_PARAMS`] flat types.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct FlatTypes {
    length: u8,
    /// Two bits each, the first one lowest.
    kinds: u32,
}

impl FlatTypes {
    const KINDS: [Flat; 4] = [Flat::I32, Flat::I64, Flat::F32, Flat::F64];

    /// Appends one; false if there are too many then.
    #[must_use]
    fn push(&mut self, flat: Flat) -> bool {
        let fits = self.len() < MAX_FLAT_PARAMS;
        if fits {
            self.kinds |= (flat as u32) << (2 * u32::from(self.length));
            self.length += 1;
        }
        fits
    }

    /// Number of flat types.
    pub fn len(self) -> usize {
        self.length.into()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.length == 0
    }

    /// All in order.
    pub fn iter(self) -> impl Iterator<Item = Flat> {
        let kind = move |index: u8| Self::KINDS[(self.kinds >> (2 * index) & 3) as usize];
        (0..self.length).map(kind)
    }

    /// With others after these, if they are not too many.
    pub(crate) fn followed_by(mut self, others: FlatTypes) -> Option<FlatTypes> {
        others.iter().all(|flat| self.push(flat)).then_some(self)
    }

    /// Those that hold either these or others ([`Flat::join`]).
    fn join(self, other: FlatTypes) -> FlatTypes {
        let (short, long) = match self.length < other.length {
            true => (self, other),
            false => (other, self),
        };
        let mut joined = FlatTypes::default();
        let common = short.iter().zip(long.iter()).map(|(a, b)| a.join(b));
        for flat in common.chain(long.iter().skip(short.len())) {
            let _fits = joined.push(flat);
        }
        joined
    }
}

impl FromIterator<Flat> for FlatTypes {
    /// # Panics
    /// If there are too many.
    fn from_iter<T: IntoIterator<Item = Flat>>(all: T) -> Self {
        let mut types = FlatTypes::default();
        assert!(
            all.into_iter().all(|flat| types.push(flat)),
            "too many flat types"
        );
        types
    }
}

/// The facts of one type.
#[derive(Clone, Copy, Debug)]
pub struct TypeFacts {
    /// Size and alignment in a 32-bit and in a 64-bit memory.
    sizes: [SizeAlign; 2],
    /// Flat core types with 32-bit and with 64-bit pointers; none if they are more than
    /// [`MAX_FLAT_PARAMS`].
    flat: [Option<FlatTypes>; 2],
    /// What its values hold.
    pub contents: Contents,
    /// Whether a value's bytes are the same in a 32-bit linear memory and natively, and every bit
    /// pattern is valid: numbers, and records, tuples and fixed-length lists of them.
    pub bitwise: bool,
    /// Whether a host can read such elements of a list where a guest keeps them, perhaps after
    /// they were validated.
    pub borrowable: bool,
    /// Bytes of a value that are no padding, if it is bitwise.
    pub value_bytes: u64,
    /// About how much code carries a value, in scalars: parts count as often as they occur. Ends at
    /// [`u32::MAX`].
    pub weight: u32,
    depth: u32,
}

const WIDTHS: [PointerWidth; 2] = [PointerWidth::P32, PointerWidth::P64];
/// Fixed-length lists in memory of up to so many elements are carried without a loop.
pub const UNROLLED: u32 = 4;
/// What a list or a string weighs, without elements.
const POINTER_WEIGHT: u32 = 4;

impl TypeFacts {
    /// Size and alignment in memory.
    pub fn size_align(&self, width: PointerWidth) -> SizeAlign {
        self.sizes[width as usize]
    }

    /// The flat core types, if they are at most [`MAX_FLAT_PARAMS`].
    pub fn flat(&self, width: PointerWidth) -> Option<FlatTypes> {
        self.flat[width as usize]
    }

    /// The facts of a type that is not in a table: the caller has those of [`Type::Defined`].
    pub(crate) fn primitive(ty: Type) -> &'static TypeFacts {
        static ALL: LazyLock<[TypeFacts; 14]> = LazyLock::new(|| {
            let one = |(ty, size, flat): (Type, u32, Flat)| TypeFacts::scalar(ty, size, flat);
            let mut all = [TypeFacts::string(); 14];
            all[..13].copy_from_slice(&SCALARS.map(one));
            all
        });
        let index = match ty {
            Type::Bool => 0,
            Type::S8 => 1,
            Type::U8 => 2,
            Type::S16 => 3,
            Type::U16 => 4,
            Type::S32 => 5,
            Type::U32 => 6,
            Type::S64 => 7,
            Type::U64 => 8,
            Type::F32 => 9,
            Type::F64 => 10,
            Type::Char => 11,
            Type::ErrorContext => 12,
            Type::String | Type::Defined(_) => 13,
        };
        &ALL[index]
    }

    fn scalar(ty: Type, size: u32, flat: Flat) -> TypeFacts {
        let bitwise = !matches!(ty, Type::Bool | Type::Char | Type::ErrorContext);
        let size_align = SizeAlign {
            size: size.into(),
            align: size,
        };
        TypeFacts {
            sizes: [size_align; 2],
            flat: WIDTHS.map(|_| Some([flat].into_iter().collect())),
            contents: Contents::default(),
            bitwise,
            borrowable: bitwise || ty == Type::Char,
            value_bytes: size.into(),
            weight: 1,
            depth: 0,
        }
    }

    fn pointers() -> TypeFacts {
        TypeFacts {
            sizes: WIDTHS.map(|width| SizeAlign {
                size: 2 * u64::from(width.bytes()),
                align: width.bytes(),
            }),
            flat: WIDTHS.map(|width| Some([width.flat(); 2].into_iter().collect())),
            contents: Contents {
                pointers: true,
                ..Contents::default()
            },
            bitwise: false,
            borrowable: false,
            value_bytes: 0,
            weight: POINTER_WEIGHT,
            depth: 0,
        }
    }

    fn string() -> TypeFacts {
        let mut facts = TypeFacts::pointers();
        facts.contents.strings = true;
        facts
    }

    /// An integer of which not every bit pattern is a value.
    fn integer(bytes: u32) -> TypeFacts {
        TypeFacts {
            bitwise: false,
            borrowable: false,
            ..TypeFacts::scalar(Type::U32, bytes, Flat::I32)
        }
    }

    /// The facts of a type whose parts are in the table.
    ///
    /// # Errors
    /// If the type may not be in a table.
    pub(crate) fn of(table: &TypeTable, ty: &DefinedType) -> Result<TypeFacts, TypeError> {
        let part = |ty: &Type| table.find_facts(*ty).ok_or(TypeError::Unknown);
        let optional = |ty: &Option<Type>| ty.as_ref().map(part).transpose();
        let facts = match ty {
            DefinedType::Record(fields) => {
                TypeFacts::record(fields.iter().map(|field| part(&field.ty)))?
            }
            DefinedType::Tuple(types) => TypeFacts::record(types.iter().map(part))?,
            DefinedType::Variant(cases) => {
                TypeFacts::variant(cases.iter().map(|case| optional(&case.ty)))?
            }
            DefinedType::Option(some) => {
                TypeFacts::variant([Ok(None), part(some).map(Some)].into_iter())?
            }
            DefinedType::Result { ok, err } => {
                TypeFacts::variant([ok, err].into_iter().map(optional))?
            }
            DefinedType::List(element) => {
                let element = part(element)?;
                let mut facts = TypeFacts::list(&[element]);
                facts.contents.copied_lists |= !element.borrowable;
                facts
            }
            DefinedType::Map(key, value) => {
                let entry = [part(key)?, part(value)?];
                let mut facts = TypeFacts::list(&entry);
                facts.contents.copied_lists |= !entry.iter().all(|part| part.bitwise);
                facts
            }
            DefinedType::FixedLengthList(element, count) => {
                TypeFacts::fixed_length_list(part(element)?, *count)
            }
            DefinedType::Flags(labels) => {
                let bytes = flags_size(labels.len());
                TypeFacts {
                    borrowable: labels.len() as u64 == 8 * u64::from(bytes),
                    ..TypeFacts::integer(bytes)
                }
            }
            DefinedType::Enum(names) => TypeFacts {
                borrowable: true,
                ..TypeFacts::integer(discriminant_size(names.len()))
            },
            DefinedType::Own(_) | DefinedType::Borrow(_) => {
                let mut facts = TypeFacts::integer(4);
                facts.contents.owned = matches!(ty, DefinedType::Own(_));
                facts.contents.borrowed = !facts.contents.owned;
                facts
            }
            // What an end carries is not part of its value.
            DefinedType::Stream(payload) | DefinedType::Future(payload) => {
                let mut facts = TypeFacts::integer(4);
                facts.contents.ends = true;
                facts.depth = optional(payload)?.map_or(0, |payload| payload.depth + 1);
                facts
            }
        };
        if facts.sizes.iter().any(|all| all.size >= MAX_TYPE_SIZE) {
            return Err(TypeError::TooLarge);
        }
        if facts.depth > MAX_TYPE_DEPTH {
            return Err(TypeError::TooDeep);
        }
        Ok(facts)
    }

    /// What is the same however parts are put together.
    fn hold(&mut self, part: &TypeFacts) {
        self.contents.add(part.contents);
        self.weight = self.weight.saturating_add(part.weight);
        self.depth = self.depth.max(part.depth + 1);
    }

    fn list(element: &[&TypeFacts]) -> TypeFacts {
        let mut facts = TypeFacts::pointers();
        element.iter().for_each(|part| facts.hold(part));
        facts
    }

    fn fixed_length_list(element: &TypeFacts, count: u32) -> TypeFacts {
        // No type in a table has 2^28 bytes, so no product has 2^60.
        let times = |bytes: u64| bytes * u64::from(count);
        let flat = |width: PointerWidth| {
            let one = element.flat(width)?;
            let all = one.len() as u64 * u64::from(count);
            let all = (all <= MAX_FLAT_PARAMS as u64).then(|| (0..count).flat_map(|_| one.iter()));
            all.map(Iterator::collect)
        };
        let mut facts = TypeFacts {
            sizes: element.sizes.map(|one| SizeAlign {
                size: times(one.size),
                ..one
            }),
            flat: WIDTHS.map(flat),
            contents: Contents::default(),
            bitwise: element.bitwise,
            borrowable: element.bitwise,
            value_bytes: times(element.value_bytes),
            weight: POINTER_WEIGHT,
            depth: 0,
        };
        facts.hold(element);
        // More elements are carried in a loop.
        let in_line = element.weight.saturating_mul(count.min(UNROLLED));
        facts.weight = facts.weight.saturating_add(in_line);
        facts
    }

    fn record<'t>(
        fields: impl Iterator<Item = Result<&'t TypeFacts, TypeError>>,
    ) -> Result<TypeFacts, TypeError> {
        let mut facts = TypeFacts {
            sizes: [SizeAlign { size: 0, align: 1 }; 2],
            flat: [Some(FlatTypes::default()); 2],
            contents: Contents::default(),
            bitwise: true,
            borrowable: true,
            value_bytes: 0,
            weight: 1,
            depth: 0,
        };
        for field in fields {
            let field = field?;
            facts.hold(field);
            facts.bitwise &= field.bitwise;
            // A type has fewer than 2^32 fields, each of fewer than 2^28 bytes.
            facts.value_bytes += field.value_bytes;
            for (width, all) in WIDTHS.into_iter().zip(&mut facts.sizes) {
                all.append(field.size_align(width));
            }
            for (width, all) in WIDTHS.into_iter().zip(&mut facts.flat) {
                let both = all.zip(field.flat(width));
                *all = both.and_then(|(all, more)| all.followed_by(more));
            }
        }
        facts.sizes = facts.sizes.map(SizeAlign::padded);
        facts.borrowable = facts.bitwise;
        Ok(facts)
    }

    fn variant<'t>(
        cases: impl Iterator<Item = Result<Option<&'t TypeFacts>, TypeError>>,
    ) -> Result<TypeFacts, TypeError> {
        let mut facts = TypeFacts {
            sizes: [SizeAlign { size: 0, align: 1 }; 2],
            flat: [None, None],
            contents: Contents::default(),
            bitwise: false,
            borrowable: false,
            value_bytes: 0,
            weight: 1,
            depth: 0,
        };
        let mut payload = [Some(FlatTypes::default()); 2];
        let mut count = 0;
        for case in cases {
            count += 1;
            let Some(case) = case? else { continue };
            facts.hold(case);
            for (width, all) in WIDTHS.into_iter().zip(&mut facts.sizes) {
                let one = case.size_align(width);
                all.size = all.size.max(one.size);
                all.align = all.align.max(one.align);
            }
            for (width, all) in WIDTHS.into_iter().zip(&mut payload) {
                *all = all.zip(case.flat(width)).map(|(all, one)| all.join(one));
            }
        }
        let tag = discriminant_size(count);
        facts.sizes = facts.sizes.map(|payload| {
            let padded = SizeAlign {
                size: align_to(tag.into(), payload.align) + payload.size,
                align: payload.align.max(tag),
            };
            padded.padded()
        });
        let discriminant: FlatTypes = [Flat::I32].into_iter().collect();
        facts.flat = payload.map(|payload| discriminant.followed_by(payload?));
        Ok(facts)
    }
}

/// The scalars in the order of [`TypeFacts::primitive`]: bytes in memory, and what they are flat.
const SCALARS: [(Type, u32, Flat); 13] = [
    (Type::Bool, 1, Flat::I32),
    (Type::S8, 1, Flat::I32),
    (Type::U8, 1, Flat::I32),
    (Type::S16, 2, Flat::I32),
    (Type::U16, 2, Flat::I32),
    (Type::S32, 4, Flat::I32),
    (Type::U32, 4, Flat::I32),
    (Type::S64, 8, Flat::I64),
    (Type::U64, 8, Flat::I64),
    (Type::F32, 4, Flat::F32),
    (Type::F64, 8, Flat::F64),
    (Type::Char, 4, Flat::I32),
    (Type::ErrorContext, 4, Flat::I32),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::{payload_offset, record_layout};
    use crate::types::{Case, Field};

    /// Sizes and alignments by the ids of types, found by [`reference`].
    type Known = [Vec<(u128, u128)>; 2];

    /// Sizes as the specification defines them, in arithmetic that cannot overflow.
    fn reference(types: &TypeTable, known: &Known, ty: Type, width: PointerWidth) -> (u128, u128) {
        let up = |offset: u128, align: u128| offset.div_ceil(align) * align;
        let id = match ty {
            Type::Defined(id) => id,
            Type::String => return (2 * u128::from(width.bytes()), width.bytes().into()),
            Type::Bool | Type::S8 | Type::U8 => return (1, 1),
            Type::S16 | Type::U16 => return (2, 2),
            Type::S64 | Type::U64 | Type::F64 => return (8, 8),
            _ => return (4, 4),
        };
        if let Some(found) = known[width as usize].get(id.0 as usize) {
            return *found;
        }
        let cases = |cases: &[Option<Type>]| {
            let parts = cases
                .iter()
                .flatten()
                .map(|ty| reference(types, known, *ty, width));
            let parts: Vec<_> = parts.collect();
            let size = parts.iter().map(|part| part.0).max().unwrap_or(0);
            let payload = parts.iter().map(|part| part.1).max().unwrap_or(1);
            let tag = u128::from(discriminant_size(cases.len()));
            let align = payload.max(tag);
            (up(up(tag, payload) + size, align), align)
        };
        let fields = |fields: &[Type]| {
            let (mut size, mut most) = (0, 1);
            for ty in fields {
                let (bytes, align) = reference(types, known, *ty, width);
                size = up(size, align) + bytes;
                most = most.max(align);
            }
            (up(size, most), most)
        };
        match &types[id] {
            DefinedType::List(_) | DefinedType::Map(..) => {
                reference(types, known, Type::String, width)
            }
            DefinedType::FixedLengthList(element, count) => {
                let (size, align) = reference(types, known, *element, width);
                (size * u128::from(*count), align)
            }
            DefinedType::Record(all) => fields(&all.iter().map(|f| f.ty).collect::<Vec<_>>()),
            DefinedType::Tuple(all) => fields(all),
            DefinedType::Variant(all) => cases(&all.iter().map(|c| c.ty).collect::<Vec<_>>()),
            DefinedType::Option(some) => cases(&[None, Some(*some)]),
            DefinedType::Result { ok, err } => cases(&[*ok, *err]),
            DefinedType::Enum(names) => cases(&vec![None; names.len()]),
            DefinedType::Flags(names) => (
                flags_size(names.len()).into(),
                flags_size(names.len()).into(),
            ),
            DefinedType::Own(_)
            | DefinedType::Borrow(_)
            | DefinedType::Stream(_)
            | DefinedType::Future(_) => (4, 4),
        }
    }

    /// xorshift64*.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: u64) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
        }

        fn ty(&mut self, made: &[Type]) -> Type {
            match made {
                [.., last] if self.below(3) == 0 => *last,
                made if !made.is_empty() && self.below(2) == 0 => {
                    made[self.below(made.len() as u64) as usize]
                }
                _ => match self.below(14) {
                    13 => Type::String,
                    index => SCALARS[index as usize].0,
                },
            }
        }

        fn defined(&mut self, made: &[Type]) -> DefinedType {
            let name = |index: u64| format!("n{index}");
            match self.below(9) {
                0 | 1 => {
                    let most = [4, 1 << 8, 1 << 20, 1 << 28, u64::from(u32::MAX)];
                    let most = most[self.below(5) as usize];
                    DefinedType::FixedLengthList(self.ty(made), 1 + self.below(most) as u32)
                }
                2 => DefinedType::Tuple((0..1 + self.below(5)).map(|_| self.ty(made)).collect()),
                3 => DefinedType::Option(self.ty(made)),
                4 => DefinedType::Result {
                    ok: Some(self.ty(made)),
                    err: Some(self.ty(made)),
                },
                5 => DefinedType::List(self.ty(made)),
                6 => DefinedType::Map(self.ty(made), self.ty(made)),
                7 => {
                    let count = 1 + self.below(300);
                    let ty = Some(self.ty(made));
                    DefinedType::Variant((0..count).map(|i| Case { name: name(i), ty }).collect())
                }
                _ => {
                    let fields = (0..1 + self.below(4)).map(|i| Field {
                        name: name(i),
                        ty: self.ty(made),
                    });
                    DefinedType::Record(fields.collect())
                }
            }
        }
    }

    #[test]
    fn sizes_are_those_of_the_specification_or_the_type_is_refused() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let (mut refused, mut large) = (0, 0);
        for _ in 0..300 {
            let (mut types, mut made) = (TypeTable::default(), Vec::new());
            let mut known = Known::default();
            for _ in 0..30 {
                let defined = random.defined(&made);
                // Sizes of what is refused are found in a table without limits: one of a single
                // type whose parts are in the other.
                let Ok(ty) = types.intern(defined.clone()) else {
                    let mut parts = 0;
                    defined.for_each_part(|part| {
                        parts += reference(&types, &known, part, PointerWidth::P64).0
                    });
                    let DefinedType::FixedLengthList(_, count) = defined else {
                        assert!(
                            parts + 8 * 300 >= u128::from(MAX_TYPE_SIZE) / 8,
                            "{defined:?}"
                        );
                        continue;
                    };
                    assert!(
                        parts * u128::from(count) >= u128::from(MAX_TYPE_SIZE),
                        "{defined:?}"
                    );
                    refused += 1;
                    continue;
                };
                for width in WIDTHS {
                    let (size, align) = reference(&types, &known, ty, width);
                    let facts = types.facts(ty).size_align(width);
                    assert_eq!(
                        (u128::from(facts.size), u128::from(facts.align)),
                        (size, align)
                    );
                    assert!(size < u128::from(MAX_TYPE_SIZE));
                    large += usize::from(size > 1 << 24);
                }
                if made.contains(&ty) {
                    continue;
                }
                for width in WIDTHS {
                    let found = reference(&types, &known, ty, width);
                    known[width as usize].push(found);
                }
                made.push(ty);
            }
            // Tuples of parameters may be larger than types.
            let fields: Vec<Type> = (0..24).map(|_| random.ty(&made)).collect();
            for width in WIDTHS {
                let (all, offsets) = record_layout(&types, fields.iter().copied(), width);
                let mut end = 0;
                for (ty, offset) in fields.iter().zip(offsets) {
                    let (size, align) = reference(&types, &known, *ty, width);
                    assert_eq!(u128::from(offset), u128::div_ceil(end, align) * align);
                    end = u128::from(offset) + size;
                }
                assert_eq!(
                    u128::from(all.size),
                    end.div_ceil(all.align.into()) * u128::from(all.align)
                );
                let cases = [None, Some(fields[0])];
                let align = reference(&types, &known, fields[0], width).1;
                assert_eq!(
                    u128::from(payload_offset(&types, &cases, width)),
                    align.max(1)
                );
            }
        }
        assert!(
            refused > 100 && large > 100,
            "{refused} refused, {large} large"
        );
    }

    #[test]
    fn tables_hold_only_what_types_may_be() {
        let mut types = TypeTable::default();
        let mut ty = Type::U8;
        for _ in 0..MAX_TYPE_DEPTH {
            ty = types.intern(DefinedType::Option(ty)).unwrap();
        }
        let deeper = DefinedType::Option(ty);
        assert_eq!(types.intern(deeper), Err(TypeError::TooDeep));
        let unknown = DefinedType::List(Type::Defined(crate::ids::TypeId(1000)));
        assert_eq!(types.intern(unknown), Err(TypeError::Unknown));
        let most = DefinedType::FixedLengthList(Type::U8, (1 << 28) - 1);
        types.intern(most).unwrap();
        let more = DefinedType::FixedLengthList(Type::U8, 1 << 28);
        assert_eq!(types.intern(more), Err(TypeError::TooLarge));
        // The same when a table is read: the type refers to itself.
        let itself = crate::ids::IdVec::from(vec![DefinedType::List(Type::Defined(
            crate::ids::TypeId(0),
        ))]);
        assert_eq!(TypeTable::try_from(itself).unwrap_err(), TypeError::Unknown);
    }

    /// Scalars are found by their place in the list.
    #[test]
    fn scalars_are_in_order() {
        for (ty, size, flat) in SCALARS {
            let facts = TypeFacts::primitive(ty);
            assert_eq!(
                facts.size_align(PointerWidth::P32).size,
                u64::from(size),
                "{ty:?}"
            );
            assert_eq!(
                facts.flat(PointerWidth::P64).unwrap().iter().next(),
                Some(flat)
            );
        }
    }
}
