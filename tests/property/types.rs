//! Component-level types, with their canonical layout and flattening written a second time, after
//! CanonicalABI.md (*Alignment*, *Element Size*, *Flattening*): the compiler's own must agree.

/// A value type without handles.
#[derive(Clone, PartialEq, Debug)]
pub enum Ty {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    List(Box<Ty>),
    FixedLengthList(Box<Ty>, usize),
    Map(Box<Ty>, Box<Ty>),
    /// Fields are named `f0`, `f1`, …
    Record(Vec<Ty>),
    Tuple(Vec<Ty>),
    /// Cases are named `c0`, `c1`, …
    Variant(Vec<Option<Ty>>),
    /// Cases are named `e0`, `e1`, …
    Enum(usize),
    /// Labels are named `g0`, `g1`, …
    Flags(usize),
    Option(Box<Ty>),
    Result(Option<Box<Ty>>, Option<Box<Ty>>),
}

/// A type of every kind, and of every size that matters, each alone and as the element of a list.
pub fn every_kind() -> Vec<Ty> {
    use Ty::*;
    let boxed = |ty: &Ty| Some(Box::new(ty.clone()));
    let scalars = [
        Bool, S8, U8, S16, U16, S32, U32, S64, U64, F32, F64, Char, String,
    ];
    let small = Record(vec![U8, U64, F32]);
    let seven = Variant(vec![
        None,
        Some(F32),
        Some(U32),
        Some(F64),
        Some(S64),
        Some(String),
        None,
    ]);
    let many = (0..300).map(|index| (index % 100 == 7).then_some(U32));
    let mut all = scalars.to_vec();
    all.extend([
        small.clone(),
        Record(scalars.to_vec()),
        Tuple(vec![Char, String]),
        FixedLengthList(Box::new(U16), 3),
        FixedLengthList(Box::new(Char), 100),
        FixedLengthList(Box::new(String), 20),
        Map(Box::new(String), Box::new(U32)),
        Map(Box::new(U32), Box::new(F32)),
        seven.clone(),
        Variant(vec![Some(seven), Some(small.clone())]),
        Variant(many.collect()),
    ]);
    all.extend([1, 7, 8, 16, 20, 32].map(Flags));
    all.extend([1, 2, 256, 300].map(Enum));
    all.extend([U8, F64, String, small].map(|some| Option(Box::new(some))));
    all.extend([
        Result(None, None),
        Result(boxed(&F32), None),
        Result(None, boxed(&String)),
        Result(boxed(&F64), boxed(&F32)),
        Result(boxed(&String), boxed(&U64)),
    ]);
    let lists: Vec<Ty> = all.iter().map(|ty| List(Box::new(ty.clone()))).collect();
    all.extend(lists);
    all.push(List(Box::new(List(Box::new(String)))));
    all
}

/// Width of a memory's addresses.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Width {
    P32,
    P64,
}

impl Width {
    pub const ALL: [Width; 2] = [Width::P32, Width::P64];

    pub fn bytes(self) -> usize {
        match self {
            Width::P32 => 4,
            Width::P64 => 8,
        }
    }

    /// The core type of addresses.
    pub fn flat(self) -> Flat {
        match self {
            Width::P32 => Flat::I32,
            Width::P64 => Flat::I64,
        }
    }
}

/// A core value type.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Flat {
    I32,
    I64,
    F32,
    F64,
}

impl Flat {
    /// As the text format spells it.
    pub fn name(self) -> &'static str {
        match self {
            Flat::I32 => "i32",
            Flat::I64 => "i64",
            Flat::F32 => "f32",
            Flat::F64 => "f64",
        }
    }

    fn join(self, other: Flat) -> Flat {
        match (self, other) {
            (a, b) if a == b => a,
            (Flat::I32, Flat::F32) | (Flat::F32, Flat::I32) => Flat::I32,
            _ => Flat::I64,
        }
    }
}

/// Rounds up to a multiple of `align`.
pub fn align_to(offset: usize, align: usize) -> usize {
    offset.div_ceil(align) * align
}

/// Offsets of consecutive fields, and the end of the last, not rounded up.
fn sequence<'t>(fields: impl IntoIterator<Item = &'t Ty>, width: Width) -> (Vec<usize>, usize) {
    let (mut offsets, mut end) = (Vec::new(), 0);
    for ty in fields {
        end = align_to(end, ty.align(width));
        offsets.push(end);
        end += ty.size(width);
    }
    (offsets, end)
}

impl Ty {
    /// Scalars and strings in it. Lists count more than their elements, so that lists of lists of
    /// long lists are not made.
    pub fn leaves(&self) -> usize {
        match self {
            Ty::List(element) => element.leaves() + 4,
            Ty::FixedLengthList(element, count) => element.leaves() * count,
            Ty::Map(key, value) => key.leaves() + value.leaves() + 4,
            _ => {
                let fields = self.fields().into_iter().flatten();
                let cases = self.cases().into_iter().flatten().flatten();
                let all: usize = fields.chain(cases).map(Ty::leaves).sum();
                all.max(1)
            }
        }
    }

    /// Types of the fields of what is a sequence of fields.
    pub fn fields(&self) -> Option<Vec<&Ty>> {
        match self {
            Ty::Record(fields) | Ty::Tuple(fields) => Some(fields.iter().collect()),
            Ty::FixedLengthList(element, count) => Some(vec![element; *count]),
            _ => None,
        }
    }

    /// Payloads of the cases of what is a variant.
    pub fn cases(&self) -> Option<Vec<Option<&Ty>>> {
        match self {
            Ty::Variant(cases) => Some(cases.iter().map(Option::as_ref).collect()),
            Ty::Enum(count) => Some(vec![None; *count]),
            Ty::Option(some) => Some(vec![None, Some(some)]),
            Ty::Result(ok, err) => Some(vec![ok.as_deref(), err.as_deref()]),
            _ => None,
        }
    }

    /// The element of a list, the entry of a map.
    pub fn element(&self) -> Option<Ty> {
        match self {
            Ty::List(element) => Some((**element).clone()),
            Ty::Map(key, value) => Some(Ty::Tuple(vec![(**key).clone(), (**value).clone()])),
            _ => None,
        }
    }

    pub fn align(&self, width: Width) -> usize {
        match self {
            Ty::Bool | Ty::S8 | Ty::U8 => 1,
            Ty::S16 | Ty::U16 => 2,
            Ty::S32 | Ty::U32 | Ty::F32 | Ty::Char => 4,
            Ty::S64 | Ty::U64 | Ty::F64 => 8,
            Ty::String | Ty::List(_) | Ty::Map(..) => width.bytes(),
            Ty::Flags(_) => self.size(width),
            _ => match (self.fields(), self.cases()) {
                (Some(fields), _) => fields.iter().map(|ty| ty.align(width)).max().unwrap(),
                (None, Some(cases)) => {
                    payload_align(&cases, width).max(discriminant_size(cases.len()))
                }
                (None, None) => unreachable!(),
            },
        }
    }

    pub fn size(&self, width: Width) -> usize {
        match self {
            Ty::String | Ty::List(_) | Ty::Map(..) => 2 * width.bytes(),
            Ty::Flags(count) => match count {
                0..=8 => 1,
                9..=16 => 2,
                _ => 4,
            },
            _ => match (self.fields(), self.cases()) {
                (Some(fields), _) => align_to(sequence(fields, width).1, self.align(width)),
                (None, Some(cases)) => {
                    let payloads = cases.iter().flatten().map(|ty| ty.size(width));
                    let end = payload_offset(&cases, width) + payloads.max().unwrap_or(0);
                    align_to(end, self.align(width))
                }
                (None, None) => self.align(width),
            },
        }
    }

    /// Flat core types, however many.
    pub fn flat(&self, width: Width) -> Vec<Flat> {
        match self {
            Ty::S64 | Ty::U64 => vec![Flat::I64],
            Ty::F32 => vec![Flat::F32],
            Ty::F64 => vec![Flat::F64],
            Ty::String | Ty::List(_) | Ty::Map(..) => vec![width.flat(); 2],
            _ => match (self.fields(), self.cases()) {
                (Some(fields), _) => fields.iter().flat_map(|ty| ty.flat(width)).collect(),
                (None, Some(cases)) => {
                    let mut all = vec![Flat::I32];
                    for case in cases.into_iter().flatten() {
                        for (index, flat) in case.flat(width).into_iter().enumerate() {
                            match all.get_mut(index + 1) {
                                Some(joined) => *joined = joined.join(flat),
                                None => all.push(flat),
                            }
                        }
                    }
                    all
                }
                (None, None) => vec![Flat::I32],
            },
        }
    }

    /// Offsets of [`Ty::fields`].
    pub fn offsets(&self, width: Width) -> Vec<usize> {
        sequence(self.fields().expect("it has fields"), width).0
    }
}

pub fn discriminant_size(cases: usize) -> usize {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

fn payload_align(cases: &[Option<&Ty>], width: Width) -> usize {
    let aligns = cases.iter().flatten().map(|ty| ty.align(width));
    aligns.max().unwrap_or(1)
}

pub fn payload_offset(cases: &[Option<&Ty>], width: Width) -> usize {
    align_to(discriminant_size(cases.len()), payload_align(cases, width))
}
