//! Component-level types and values of them, as a call on a command line could have.

use crate::random::Random;
use trampette_artifact::types::{Case, DefinedType, Field, Type, TypeTable};
use trampette_runtime::{Name, Val};

/// Names that are also words of WAVE, beside some that are not.
const LABELS: [&str; 16] = [
    "a",
    "b-c",
    "true",
    "false",
    "none",
    "some",
    "ok",
    "err",
    "inf",
    "nan",
    "x1",
    "A-B",
    "long-name",
    "z",
    "type",
    "y-2",
];

/// A type, interned.
pub fn random_type(random: &mut Random, table: &mut TypeTable, depth: usize) -> Type {
    const PRIMITIVE: [Type; 13] = [
        Type::Bool,
        Type::S8,
        Type::U8,
        Type::S16,
        Type::U16,
        Type::S32,
        Type::U32,
        Type::S64,
        Type::U64,
        Type::F32,
        Type::F64,
        Type::Char,
        Type::String,
    ];
    if depth == 0 || random.percent(25) {
        return random.pick(&PRIMITIVE);
    }
    let count = 1 + random.below(5);
    let first = random.below(LABELS.len());
    let labels = (0..count).map(|i| LABELS[(first + i) % LABELS.len()].to_string());
    let labels: Vec<String> = labels.collect();
    let mut one = |random: &mut Random| random_type(random, table, depth - 1);
    let defined = match random.below(10) {
        0 => DefinedType::List(one(random)),
        1 => DefinedType::FixedLengthList(one(random), count as u32),
        2 => DefinedType::Map(random.pick(&PRIMITIVE), one(random)),
        3 => {
            let field = |name| Field {
                name,
                ty: one(random),
            };
            DefinedType::Record(labels.into_iter().map(field).collect())
        }
        4 => DefinedType::Tuple((0..count).map(|_| one(random)).collect()),
        5 => {
            let case = |name| Case {
                name,
                ty: random.percent(60).then(|| one(random)),
            };
            DefinedType::Variant(labels.into_iter().map(case).collect())
        }
        6 => DefinedType::Enum(labels),
        7 => DefinedType::Flags(labels),
        8 => DefinedType::Option(one(random)),
        _ => DefinedType::Result {
            ok: random.percent(60).then(|| one(random)),
            err: random.percent(60).then(|| one(random)),
        },
    };
    table.intern(defined).unwrap_or(Type::Bool)
}

/// A value of a type.
pub fn random_value(random: &mut Random, table: &TypeTable, ty: Type) -> Val {
    const FLOATS: [f64; 10] = [
        0.0,
        -0.0,
        -1.5,
        0.1,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        f64::MIN_POSITIVE,
        5e-324,
        f64::MAX,
    ];
    let id = match ty {
        Type::Bool => return Val::Bool(random.percent(50)),
        Type::S8 => return Val::S8(random.integer() as i8),
        Type::U8 => return Val::U8(random.integer() as u8),
        Type::S16 => return Val::S16(random.integer() as i16),
        Type::U16 => return Val::U16(random.integer() as u16),
        Type::S32 => return Val::S32(random.integer() as i32),
        Type::U32 => return Val::U32(random.integer() as u32),
        Type::S64 => return Val::S64(random.integer() as i64),
        Type::U64 => return Val::U64(random.integer()),
        Type::F32 if random.percent(50) => {
            return Val::Float32(f32::from_bits(random.bits() as u32));
        }
        Type::F32 => return Val::Float32(random.pick(&FLOATS) as f32),
        Type::F64 if random.percent(50) => return Val::Float64(f64::from_bits(random.bits())),
        Type::F64 => return Val::Float64(random.pick(&FLOATS)),
        Type::Char => return Val::Char(random_char(random)),
        Type::String => {
            let length = random.below(8);
            return Val::String((0..length).map(|_| random_char(random)).collect());
        }
        Type::ErrorContext => unreachable!("none is made"),
        Type::Defined(id) => id,
    };
    let mut one = |ty: Type| random_value(random, table, ty);
    match &table[id] {
        DefinedType::List(element) => {
            let length = random.below(4);
            Val::List(
                (0..length)
                    .map(|_| random_value(random, table, *element))
                    .collect(),
            )
        }
        DefinedType::FixedLengthList(element, length) => {
            Val::List((0..*length).map(|_| one(*element)).collect())
        }
        DefinedType::Map(key, value) => {
            let length = random.below(4);
            let mut entries: Vec<(Val, Val)> = Vec::new();
            for _ in 0..length {
                let key = random_value(random, table, *key);
                // WAVE keeps one entry of each key.
                if !entries.iter().any(|(other, _)| *other == key) {
                    entries.push((key, random_value(random, table, *value)));
                }
            }
            Val::Map(entries)
        }
        DefinedType::Record(fields) => {
            let fields = fields
                .iter()
                .map(|field| ((&field.name).into(), one(field.ty)));
            Val::Record(fields.collect())
        }
        DefinedType::Tuple(types) => Val::Tuple(types.iter().map(|ty| one(*ty)).collect()),
        DefinedType::Variant(cases) => {
            let case = random.pick(cases);
            let payload = case.ty.map(|ty| Box::new(random_value(random, table, ty)));
            Val::Variant(case.name.into(), payload)
        }
        DefinedType::Enum(names) => Val::Enum(random.pick(names).into()),
        DefinedType::Flags(names) => {
            let set = names.iter().filter(|_| random.percent(50));
            Val::Flags(set.map(Name::from).collect())
        }
        DefinedType::Option(some) => {
            let is_some = random.percent(60);
            Val::Option(is_some.then(|| Box::new(random_value(random, table, *some))))
        }
        DefinedType::Result { ok, err } => {
            let is_ok = random.percent(50);
            let mut payload =
                |ty: &Option<Type>| ty.map(|ty| Box::new(random_value(random, table, ty)));
            Val::Result(match is_ok {
                true => Ok(payload(ok)),
                false => Err(payload(err)),
            })
        }
        DefinedType::Own(_) | DefinedType::Borrow(_) => unreachable!("none is made"),
    }
}

/// A character: often one that something is special about.
pub fn random_char(random: &mut Random) -> char {
    const SPECIAL: [char; 16] = [
        '"',
        '\'',
        '\\',
        '\n',
        '\t',
        '\r',
        '\0',
        '\u{1b}',
        '\u{202e}',
        '\u{2028}',
        '\u{feff}',
        '\u{10ffff}',
        '\u{d7ff}',
        'é',
        '{',
        '}',
    ];
    match random.below(4) {
        0 => random.pick(&SPECIAL),
        1 => char::from_u32(random.bits() as u32 % 0x11_0000).unwrap_or('\u{e000}'),
        _ => char::from(b' ' + random.below(95) as u8),
    }
}
