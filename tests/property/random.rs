//! Random numbers, types and values, the same for the same seed.

use super::types::Ty;
use trampette_runtime::Val;

/// A small generator of pseudo-random numbers (xorshift64*).
pub struct Random(u64);

impl Random {
    /// The sequence of that seed.
    pub fn new(seed: u64) -> Random {
        // Mixed, so that neighbouring seeds differ from the first number on; never 0.
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            random.bits();
        }
        random
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        ((self.bits() >> 32) as usize) % end
    }

    /// Whether something of that chance, in percent, happens.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// A type of at most some two hundred leaves.
    pub fn ty(&mut self) -> Ty {
        loop {
            let depth = self.pick(&[0, 1, 2, 2, 3, 3, 4]);
            let ty = self.ty_of_depth(depth);
            if ty.leaves() <= 200 {
                return ty;
            }
        }
    }

    fn scalar(&mut self) -> Ty {
        const ALL: [fn() -> Ty; 12] = [
            || Ty::Bool,
            || Ty::S8,
            || Ty::U8,
            || Ty::S16,
            || Ty::U16,
            || Ty::S32,
            || Ty::U32,
            || Ty::S64,
            || Ty::U64,
            || Ty::F32,
            || Ty::F64,
            || Ty::Char,
        ];
        ALL[self.below(ALL.len())]()
    }

    fn ty_of_depth(&mut self, depth: usize) -> Ty {
        if depth == 0 {
            return match self.below(10) {
                0..6 => self.scalar(),
                6..8 => Ty::String,
                8 => Ty::Enum(self.pick(&[1, 2, 3, 5, 255, 256, 257, 300])),
                _ => Ty::Flags(self.pick(&[1, 2, 7, 8, 9, 15, 16, 17, 31, 32])),
            };
        }
        let depth = depth - 1;
        let boxed = |random: &mut Self| Box::new(random.ty_of_depth(depth));
        match self.below(13) {
            0..3 => Ty::List(boxed(self)),
            3 => Ty::FixedLengthList(boxed(self), self.pick(&[1, 2, 3, 5, 17])),
            4 => {
                let key = match self.below(5) {
                    0 => Ty::String,
                    1 => Ty::Char,
                    2 => Ty::U64,
                    3 => Ty::S64,
                    _ => Ty::U8,
                };
                Ty::Map(Box::new(key), boxed(self))
            }
            5..7 => Ty::Record(self.some(depth)),
            7 => Ty::Tuple(self.some(depth)),
            8..10 => {
                let count = self.pick(&[1, 2, 3, 4, 6, 260]);
                let payloads = if count > 6 { 2 } else { 70 };
                let case = |random: &mut Self| {
                    let depth = random.below(depth + 1);
                    random.percent(payloads).then(|| random.ty_of_depth(depth))
                };
                Ty::Variant((0..count).map(|_| case(self)).collect())
            }
            10 => Ty::Option(boxed(self)),
            _ => {
                let side = |random: &mut Self| random.percent(75).then(|| boxed(random));
                Ty::Result(side(self), side(self))
            }
        }
    }

    fn some(&mut self, depth: usize) -> Vec<Ty> {
        let count = self.pick(&[1, 2, 2, 3, 3, 4, 6]);
        let one = |random: &mut Self| {
            let depth = random.below(depth + 1);
            random.ty_of_depth(depth)
        };
        (0..count).map(|_| one(self)).collect()
    }

    /// A value of a type.
    pub fn value(&mut self, ty: &Ty) -> Val {
        match ty {
            Ty::Bool => Val::Bool(self.percent(50)),
            Ty::S8 => Val::S8(self.integer(8) as i8),
            Ty::U8 => Val::U8(self.integer(8) as u8),
            Ty::S16 => Val::S16(self.integer(16) as i16),
            Ty::U16 => Val::U16(self.integer(16) as u16),
            Ty::S32 => Val::S32(self.integer(32) as i32),
            Ty::U32 => Val::U32(self.integer(32) as u32),
            Ty::S64 => Val::S64(self.integer(64) as i64),
            Ty::U64 => Val::U64(self.integer(64)),
            Ty::F32 => Val::Float32(match self.below(3) {
                0 => self.pick(&[0.0, -0.0, f32::INFINITY, f32::NAN, f32::MIN_POSITIVE]),
                _ => f32::from_bits(self.bits() as u32),
            }),
            Ty::F64 => Val::Float64(match self.below(3) {
                0 => self.pick(&[0.0, -0.0, f64::NEG_INFINITY, f64::NAN, f64::EPSILON]),
                _ => f64::from_bits(self.bits()),
            }),
            Ty::Char => Val::Char(self.character()),
            Ty::String => Val::String(self.text()),
            Ty::List(element) => {
                let count = self.count(element);
                Val::List((0..count).map(|_| self.value(element)).collect())
            }
            Ty::FixedLengthList(element, count) => {
                Val::List((0..*count).map(|_| self.value(element)).collect())
            }
            Ty::Map(key, value) => {
                let entry = |random: &mut Self| (random.value(key), random.value(value));
                Val::Map((0..self.below(5)).map(|_| entry(self)).collect())
            }
            Ty::Record(fields) => {
                let field = |(index, ty)| (format!("f{index}").into(), self.value(ty));
                Val::Record(fields.iter().enumerate().map(field).collect())
            }
            Ty::Tuple(fields) => Val::Tuple(fields.iter().map(|ty| self.value(ty)).collect()),
            Ty::Variant(cases) => {
                // Of many cases few have a payload: prefer those.
                let payloads: Vec<_> = (0..cases.len()).filter(|i| cases[*i].is_some()).collect();
                let index = match payloads.is_empty() || self.percent(40) {
                    true => self.below(cases.len()),
                    false => self.pick(&payloads),
                };
                let payload = cases[index].as_ref().map(|ty| Box::new(self.value(ty)));
                Val::Variant(format!("c{index}").into(), payload)
            }
            Ty::Enum(count) => Val::Enum(format!("e{}", self.below(*count)).into()),
            Ty::Option(some) => Val::Option(self.percent(70).then(|| Box::new(self.value(some)))),
            Ty::Result(ok, err) => {
                let side = |random: &mut Self, ty: &Option<Box<Ty>>| {
                    ty.as_ref().map(|ty| Box::new(random.value(ty)))
                };
                Val::Result(match self.percent(50) {
                    true => Ok(side(self, ok)),
                    false => Err(side(self, err)),
                })
            }
            Ty::Flags(count) => {
                let bits = self.integer(32);
                let set = |index: &usize| bits >> index & 1 == 1;
                let all = (0..*count).filter(set);
                Val::Flags(all.map(|index| format!("g{index}").into()).collect())
            }
        }
    }

    fn count(&mut self, element: &Ty) -> usize {
        match element.leaves() {
            1 if self.percent(15) => self.pick(&[16, 31, 100, 257]),
            0..4 => self.below(8),
            4..30 => self.below(5),
            _ => self.below(3),
        }
    }

    /// An integer of that many bits in the low ones; small and extreme ones are likely.
    fn integer(&mut self, bits: u32) -> u64 {
        match self.below(4) {
            0 => 0,
            1 => u64::MAX >> (64 - bits) >> self.below(2),
            2 => 1 << self.below(bits as usize),
            _ => self.bits() >> (64 - bits),
        }
    }

    fn character(&mut self) -> char {
        loop {
            let code = match self.below(6) {
                0 | 1 => self.below(0x80),
                2 => 0x80 + self.below(0x80),
                3 => 0x100 + self.below(0xff00),
                4 => 0x1_0000 + self.below(0x10_0000),
                _ => self.pick(&[
                    0x7f, 0x80, 0xff, 0x100, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x1_0000,
                    0x10_ffff,
                ]),
            };
            if let Some(character) = char::from_u32(code as u32) {
                return character;
            }
        }
    }

    /// A text: often with a start that fits ASCII or Latin-1, so that encodings change half-way.
    fn text(&mut self) -> String {
        let mut text = String::new();
        let start = match self.below(4) {
            0 => 0,
            1 | 2 => self.below(40),
            _ => self.below(300),
        };
        let limit = self.pick(&[0x80, 0x80, 0x100]);
        let class = |random: &mut Self| char::from(random.below(limit) as u8);
        text.extend((0..start).map(|_| class(self)));
        if self.percent(50) {
            let rest = self.pick(&[1, 2, 3, 7, 20, 50]);
            text.extend((0..rest).map(|_| self.character()));
        }
        text
    }
}
