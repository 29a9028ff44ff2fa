//! Random types and values: host → guest → guest → guest → host, by every pair of encodings and
//! pointer widths, must arrive as they were.
//!
//! `TRAMPETTE_RANDOM_TYPES` is the number of types (each with a handful of values), and
//! `TRAMPETTE_RANDOM_SEED` where they start. Flattening and layout are worked out here again, for
//! the guest's side, from the Canonical ABI alone.

use std::fmt::Write as _;
use trampette_runtime::{Component, Linker, Store, Val};

/// Types unless `TRAMPETTE_RANDOM_TYPES` says otherwise.
const TYPES: u64 = 300;
/// Values of each type.
const VALUES: usize = 5;

/// A small generator of random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Scalar {
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
}

const SCALARS: [Scalar; 12] = [
    Scalar::Bool,
    Scalar::S8,
    Scalar::U8,
    Scalar::S16,
    Scalar::U16,
    Scalar::S32,
    Scalar::U32,
    Scalar::S64,
    Scalar::U64,
    Scalar::F32,
    Scalar::F64,
    Scalar::Char,
];

/// A value type; those that need a name have a number.
#[derive(Clone, Debug)]
enum Ty {
    Scalar(Scalar),
    String,
    List(Box<Ty>),
    Fixed(Box<Ty>, usize),
    Map(Box<Ty>, Box<Ty>),
    Option(Box<Ty>),
    Result(Option<Box<Ty>>, Option<Box<Ty>>),
    Tuple(Vec<Ty>),
    Record(usize, Vec<Ty>),
    Variant(usize, Vec<Option<Ty>>),
    Enum(usize, usize),
    Flags(usize, usize),
}

/// A core type.
type Flat = &'static str;

fn join(a: Flat, b: Flat) -> Flat {
    match (a, b) {
        _ if a == b => a,
        ("i32", "f32") | ("f32", "i32") => "i32",
        _ => "i64",
    }
}

fn align_to(at: usize, align: usize) -> usize {
    at.div_ceil(align) * align
}

fn pointer_size(pointer: Flat) -> usize {
    if pointer == "i64" { 8 } else { 4 }
}

impl Ty {
    /// A random type; declarations of named ones are appended to `names`.
    fn random(random: &mut Random, depth: usize, names: &mut Vec<String>) -> Ty {
        let kind = random.below(if depth == 0 { 3 } else { 14 });
        let mut inner = |random: &mut Random| Ty::random(random, depth - 1, names);
        match kind {
            0 | 1 => Ty::Scalar(random.pick(&SCALARS)),
            2 => Ty::String,
            3 | 4 => Ty::List(Box::new(inner(random))),
            5 => Ty::Fixed(Box::new(inner(random)), 1 + random.below(6)),
            6 => {
                let key = match random.below(2) {
                    0 => Ty::String,
                    _ => Ty::Scalar(random.pick(&[Scalar::U8, Scalar::S64, Scalar::Char])),
                };
                Ty::Map(Box::new(key), Box::new(inner(random)))
            }
            7 => Ty::Option(Box::new(inner(random))),
            8 => {
                let mut side = |random: &mut Random| match random.below(3) {
                    0 => None,
                    _ => Some(Box::new(inner(random))),
                };
                Ty::Result(side(random), side(random))
            }
            9 => {
                let count = 1 + random.below(5);
                Ty::Tuple((0..count).map(|_| inner(random)).collect())
            }
            10 => {
                let count = 1 + random.below(6);
                let fields: Vec<Ty> = (0..count).map(|_| inner(random)).collect();
                let text = fields.iter().enumerate().map(|(index, ty)| {
                    let ty = ty.wat();
                    format!("(field \"f{index}\" {ty})")
                });
                let text = format!("(record {})", text.collect::<Vec<_>>().join(" "));
                names.push(text);
                Ty::Record(names.len() - 1, fields)
            }
            11 => {
                let count = 1 + random.below(5);
                let cases: Vec<Option<Ty>> = (0..count)
                    .map(|_| (random.below(4) > 0).then(|| inner(random)))
                    .collect();
                let text = cases.iter().enumerate().map(|(index, ty)| {
                    let ty = ty.as_ref().map_or(String::new(), Ty::wat);
                    format!("(case \"c{index}\" {ty})")
                });
                names.push(format!("(variant {})", text.collect::<Vec<_>>().join(" ")));
                Ty::Variant(names.len() - 1, cases)
            }
            12 => {
                let count = random.pick(&[1, 2, 5, 256, 300]);
                let text = (0..count).map(|index| format!("\"e{index}\""));
                names.push(format!("(enum {})", text.collect::<Vec<_>>().join(" ")));
                Ty::Enum(names.len() - 1, count)
            }
            _ => {
                let count = random.pick(&[1, 7, 8, 9, 16, 17, 31, 32]);
                let text = (0..count).map(|index| format!("\"b{index}\""));
                names.push(format!("(flags {})", text.collect::<Vec<_>>().join(" ")));
                Ty::Flags(names.len() - 1, count)
            }
        }
    }

    /// The type in the text format.
    fn wat(&self) -> String {
        let all = |types: &[Ty]| types.iter().map(Ty::wat).collect::<Vec<_>>().join(" ");
        match self {
            Ty::Scalar(scalar) => format!("{scalar:?}").to_lowercase(),
            Ty::String => "string".into(),
            Ty::List(element) => format!("(list {})", element.wat()),
            Ty::Fixed(element, count) => format!("(list {} {count})", element.wat()),
            Ty::Map(key, value) => format!("(map {} {})", key.wat(), value.wat()),
            Ty::Option(some) => format!("(option {})", some.wat()),
            Ty::Result(ok, err) => {
                let ok = ok.as_ref().map_or(String::new(), |ty| ty.wat());
                let err = err
                    .as_ref()
                    .map_or(String::new(), |ty| format!("(error {})", ty.wat()));
                format!("(result {ok} {err})")
            }
            Ty::Tuple(fields) => format!("(tuple {})", all(fields)),
            Ty::Record(name, _) | Ty::Variant(name, _) | Ty::Enum(name, _) | Ty::Flags(name, _) => {
                format!("$t{name}")
            }
        }
    }

    /// The fields of what is like a record.
    fn fields(&self) -> Option<Vec<Ty>> {
        match self {
            Ty::Tuple(fields) | Ty::Record(_, fields) => Some(fields.clone()),
            Ty::Fixed(element, count) => Some(vec![(**element).clone(); *count]),
            _ => None,
        }
    }

    /// The cases of what is like a variant.
    fn cases(&self) -> Option<Vec<Option<Ty>>> {
        match self {
            Ty::Variant(_, cases) => Some(cases.clone()),
            Ty::Enum(_, count) => Some(vec![None; *count]),
            Ty::Option(some) => Some(vec![None, Some((**some).clone())]),
            Ty::Result(ok, err) => Some(vec![ok.as_deref().cloned(), err.as_deref().cloned()]),
            _ => None,
        }
    }

    fn flat(&self, pointer: Flat) -> Vec<Flat> {
        if let Some(fields) = self.fields() {
            return fields.iter().flat_map(|ty| ty.flat(pointer)).collect();
        }
        if let Some(cases) = self.cases() {
            let mut joined: Vec<Flat> = Vec::new();
            for case in cases.iter().flatten() {
                for (index, flat) in case.flat(pointer).into_iter().enumerate() {
                    match joined.get_mut(index) {
                        Some(other) => *other = join(other, flat),
                        None => joined.push(flat),
                    }
                }
            }
            joined.insert(0, "i32");
            return joined;
        }
        match self {
            Ty::Scalar(Scalar::S64 | Scalar::U64) => vec!["i64"],
            Ty::Scalar(Scalar::F32) => vec!["f32"],
            Ty::Scalar(Scalar::F64) => vec!["f64"],
            Ty::Scalar(_) | Ty::Flags(..) => vec!["i32"],
            _ => vec![pointer; 2],
        }
    }

    fn size_align(&self, pointer: Flat) -> (usize, usize) {
        if let Some(fields) = self.fields() {
            let (mut size, mut align) = (0, 1);
            for (field_size, field_align) in fields.iter().map(|ty| ty.size_align(pointer)) {
                size = align_to(size, field_align) + field_size;
                align = align.max(field_align);
            }
            return (align_to(size, align), align);
        }
        if let Some(cases) = self.cases() {
            let (offset, payload_size, align) = variant_layout(&cases, pointer);
            return (align_to(offset + payload_size, align), align);
        }
        let size = match self {
            Ty::Scalar(Scalar::Bool | Scalar::S8 | Scalar::U8) => 1,
            Ty::Scalar(Scalar::S16 | Scalar::U16) => 2,
            Ty::Scalar(Scalar::S64 | Scalar::U64 | Scalar::F64) => 8,
            Ty::Scalar(_) => 4,
            Ty::Flags(_, count) => flags_bytes(*count),
            _ => return (2 * pointer_size(pointer), pointer_size(pointer)),
        };
        (size, size)
    }

    /// Appends code that stores flat values at a constant address.
    fn store(&self, pointer: Flat, values: &[(String, Flat)], at: usize, code: &mut String) {
        let put = |code: &mut String, op: &str, at: usize, value: &str| {
            writeln!(code, "({op} ({pointer}.const {at}) {value})").unwrap();
        };
        if let Some(fields) = self.fields() {
            let (mut rest, mut offset) = (values, 0);
            for field in fields {
                let (size, align) = field.size_align(pointer);
                let count = field.flat(pointer).len();
                offset = align_to(offset, align);
                field.store(pointer, &rest[..count], at + offset, code);
                (rest, offset) = (&rest[count..], offset + size);
            }
            return;
        }
        if let Some(cases) = self.cases() {
            let (offset, _, _) = variant_layout(&cases, pointer);
            let (tag, payload) = (&values[0].0, &values[1..]);
            let op = match discriminant_bytes(cases.len()) {
                1 => "i32.store8",
                _ => "i32.store16",
            };
            put(code, op, at, tag);
            if payload.is_empty() {
                return;
            }
            for (index, case) in cases.iter().enumerate() {
                writeln!(code, "(if (i32.eq {tag} (i32.const {index})) (then").unwrap();
                let wanted = case.as_ref().map_or(Vec::new(), |ty| ty.flat(pointer));
                let (used, unused) = payload.split_at(wanted.len());
                let used = used.iter().zip(wanted).map(|((value, have), want)| {
                    let value = match (*have, want) {
                        ("i32", "f32") => format!("(f32.reinterpret_i32 {value})"),
                        ("i64", "i32") => format!("(i32.wrap_i64 {value})"),
                        ("i64", "f32") => format!("(f32.reinterpret_i32 (i32.wrap_i64 {value}))"),
                        ("i64", "f64") => format!("(f64.reinterpret_i64 {value})"),
                        _ => value.clone(),
                    };
                    (value, want)
                });
                if let Some(ty) = case {
                    ty.store(pointer, &used.collect::<Vec<_>>(), at + offset, code);
                }
                for (value, ty) in unused {
                    let check = format!("(if ({ty}.ne {value} ({ty}.const 0)) (then unreachable))");
                    writeln!(code, "{check}").unwrap();
                }
                writeln!(code, "))").unwrap();
            }
            return;
        }
        let (size, _) = self.size_align(pointer);
        if values.len() == 2 {
            let op = format!("{pointer}.store");
            put(code, &op, at, &values[0].0);
            put(code, &op, at + size / 2, &values[1].0);
            return;
        }
        let (value, ty) = &values[0];
        let narrow = match size {
            1 | 2 => format!("{ty}.store{}", 8 * size),
            _ => format!("{ty}.store"),
        };
        put(code, &narrow, at, value);
    }

    fn value(&self, random: &mut Random) -> Val {
        let bits = match random.below(4) {
            0 => 0,
            1 => u64::MAX,
            _ => random.next(),
        };
        let boxed = |ty: &Ty, random: &mut Random| Box::new(ty.value(random));
        match self {
            Ty::Scalar(scalar) => match scalar {
                Scalar::Bool => Val::Bool(bits & 1 == 1),
                Scalar::S8 => Val::S8(bits as i8),
                Scalar::U8 => Val::U8(bits as u8),
                Scalar::S16 => Val::S16(bits as i16),
                Scalar::U16 => Val::U16(bits as u16),
                Scalar::S32 => Val::S32(bits as i32),
                Scalar::U32 => Val::U32(bits as u32),
                Scalar::S64 => Val::S64(bits as i64),
                Scalar::U64 => Val::U64(bits),
                Scalar::F32 => Val::Float32(bits as i32 as f32 / 64.0),
                Scalar::F64 => Val::Float64(bits as i64 as f64 / 64.0),
                Scalar::Char => Val::Char(random_char(random)),
            },
            Ty::String => {
                let count = random.pick(&[0, 1, 2, 5, 40]);
                // One character in many decides what an encoding can hold.
                let plain = random.below(3) > 0;
                let mut text: String = (0..count)
                    .map(|_| match plain {
                        true => char::from(b'a' + random.below(26) as u8),
                        false => random_char(random),
                    })
                    .collect();
                if random.below(3) == 0 {
                    text.push(random_char(random));
                }
                Val::String(text)
            }
            Ty::List(element) => {
                let count = random.pick(&[0, 1, 3, 9]);
                Val::List((0..count).map(|_| element.value(random)).collect())
            }
            Ty::Fixed(element, count) => {
                Val::List((0..*count).map(|_| element.value(random)).collect())
            }
            Ty::Map(key, value) => {
                let count = random.below(3);
                let entry = |_| (key.value(random), value.value(random));
                Val::Map((0..count).map(entry).collect())
            }
            Ty::Option(some) => Val::Option((bits & 1 == 1).then(|| boxed(some, random))),
            Ty::Result(ok, err) => Val::Result(match bits & 1 {
                0 => Ok(ok.as_ref().map(|ty| boxed(ty, random))),
                _ => Err(err.as_ref().map(|ty| boxed(ty, random))),
            }),
            Ty::Tuple(fields) => Val::Tuple(fields.iter().map(|ty| ty.value(random)).collect()),
            Ty::Record(_, fields) => Val::Record(
                (0..)
                    .map(|index| format!("f{index}"))
                    .zip(fields.iter().map(|ty| ty.value(random)))
                    .collect(),
            ),
            Ty::Variant(_, cases) => {
                let index = random.below(cases.len());
                let payload = cases[index].as_ref().map(|ty| boxed(ty, random));
                Val::Variant(format!("c{index}"), payload)
            }
            Ty::Enum(_, count) => Val::Enum(format!("e{}", random.below(*count))),
            Ty::Flags(_, count) => {
                let set = (0..*count).filter(|index| bits >> index & 1 == 1);
                Val::Flags(set.map(|index| format!("b{index}")).collect())
            }
        }
    }
}

fn random_char(random: &mut Random) -> char {
    let end = random.pick(&[0x80, 0x100, 0x800, 0xd800, 0x1_0000, 0x11_0000]);
    char::from_u32(random.below(end) as u32).unwrap_or('\u{fffd}')
}

fn discriminant_bytes(cases: usize) -> usize {
    if cases <= 256 { 1 } else { 2 }
}

fn flags_bytes(labels: usize) -> usize {
    match labels {
        0..=8 => 1,
        9..=16 => 2,
        _ => 4,
    }
}

/// Offset and size of the payload, and the alignment of the whole.
fn variant_layout(cases: &[Option<Ty>], pointer: Flat) -> (usize, usize, usize) {
    let tag = discriminant_bytes(cases.len());
    let payloads = cases.iter().flatten().map(|ty| ty.size_align(pointer));
    let (size, align) = payloads.fold((0, 1), |(size, align), (s, a)| (size.max(s), align.max(a)));
    (align_to(tag, align), size, align.max(tag))
}

/// The core function that keeps its parameters and returns them.
fn back_echo(ty: &Ty, pointer: Flat) -> String {
    let flat = ty.flat(pointer);
    let header = |params: &[Flat], result: Flat| {
        let params = params.join(" ");
        format!("(func (export \"echo\") (param {params}) (result {result})")
    };
    match flat.len() {
        1 => format!("{} (local.get 0))", header(&flat, flat[0])),
        2..=16 => {
            let mut code = header(&flat, pointer);
            let values = flat
                .iter()
                .enumerate()
                .map(|(index, ty)| (format!("(local.get {index})"), *ty));
            ty.store(pointer, &values.collect::<Vec<_>>(), 1024, &mut code);
            format!("{code} ({pointer}.const 1024))")
        }
        // The parameters' memory has the layout of the result's.
        _ => format!("{} (local.get 0))", header(&[pointer], pointer)),
    }
}

/// The type of the lowered function, and the function that calls it.
fn front_run(ty: &Ty, pointer: Flat) -> (String, String) {
    let mut params = ty.flat(pointer);
    let result = match params[..] {
        [one] => Some(one),
        _ => None,
    };
    if params.len() > 16 {
        params = vec![pointer];
    }
    let list = params.join(" ");
    let values = (0..params.len()).map(|index| format!("(local.get {index})"));
    let call = format!("call $echo {}", values.collect::<Vec<_>>().join(" "));
    match result {
        Some(one) => (
            format!("(param {list}) (result {one})"),
            format!("(func (export \"run\") (param {list}) (result {one}) ({call}))"),
        ),
        None => (
            format!("(param {list} {pointer})"),
            format!(
                "(func (export \"run\") (param {list}) (result {pointer}) \
                 ({call} ({pointer}.const 1024)) ({pointer}.const 1024))"
            ),
        ),
    }
}

/// A type and how it travels, as a component.
fn component(ty: &Ty, names: &[String], front: (Flat, &str), back: (Flat, &str)) -> String {
    let declare = |pattern: &dyn Fn(usize, &str) -> String| {
        let all = names
            .iter()
            .enumerate()
            .map(|(index, ty)| pattern(index, ty));
        all.collect::<Vec<_>>().join("\n")
    };
    let define =
        declare(&|i, ty| format!("(type $t{i}' {ty}) (export $t{i} \"t{i}\" (type $t{i}'))"));
    let (echo_type, run) = front_run(ty, front.0);
    let mut wat = include_str!("components/adapters/echo-any.wat").to_string();
    for (pattern, text) in [
        ("(BACK_ECHO)", back_echo(ty, back.0)),
        ("(FRONT_ECHO_TYPE)", echo_type),
        ("(FRONT_RUN)", run),
        ("(BACK_TYPES)", define.clone()),
        (
            "(FRONT_TYPES)",
            declare(&|i, ty| {
                format!("(type $t{i}' {ty}) (import \"t{i}\" (type $t{i} (eq $t{i}')))")
            }),
        ),
        ("(OUTER_TYPES)", define),
        (
            "(WITH_TYPES)",
            declare(&|i, _| format!("(with \"t{i}\" (type $t{i}))")),
        ),
        ("TYPE", ty.wat()),
    ] {
        wat = wat.replace(pattern, &text);
    }
    for (name, (pointer, encoding)) in [("FRONT", front), ("BACK", back)] {
        let memory = if pointer == "i64" { "i64" } else { "" };
        wat = wat.replace(&format!("{name}_ENCODING"), encoding);
        wat = wat.replace(&format!("{name}_MEMORY"), memory);
        wat = wat.replace(name, pointer);
    }
    wat
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is no number")),
        Err(_) => default,
    }
}

#[test]
fn random_values_arrive_as_they_were() {
    let start = number("TRAMPETTE_RANDOM_SEED", 0);
    for seed in start..start + number("TRAMPETTE_RANDOM_TYPES", TYPES) {
        let random = &mut Random(seed);
        let mut names = Vec::new();
        let depth = 1 + random.below(3);
        let ty = Ty::random(random, depth, &mut names);
        // A type may be too large for a return area; such are left to tests of their own.
        if ty.size_align("i64").0 > 1 << 16 || ty.flat("i64").len() > 900 {
            continue;
        }
        let mut guest = || {
            let pointer = random.pick(&["i32", "i64"]);
            (pointer, random.pick(&["utf8", "utf16", "latin1+utf16"]))
        };
        let (front, back) = (guest(), guest());
        let wat = component(&ty, &names, front, back);
        let context = format!(
            "seed {seed}: {} by {front:?} and {back:?}, {names:?}",
            ty.wat()
        );
        let wasm = wat::parse_str(&wat).unwrap_or_else(|error| panic!("{context}: {error}\n{wat}"));
        let options = trampette::CompileOptions::default();
        let artifact = trampette::compile_component(&wasm, &options)
            .unwrap_or_else(|error| panic!("{context}: {error:?}\n{wat}"));
        let compiled = Component::from_bytes(artifact.bytes()).unwrap();
        let mut store = Store::new(());
        let instance = Linker::new().instantiate(&mut store, &compiled).unwrap();
        let run = instance.get_func(&mut store, "run").unwrap();
        for _ in 0..VALUES {
            let value = ty.value(random);
            let found = run.call(&mut store, std::slice::from_ref(&value));
            let found = found.unwrap_or_else(|error| panic!("{context}: {value:?}: {error:?}"));
            assert_eq!(found, [value], "{context}");
        }
    }
}
