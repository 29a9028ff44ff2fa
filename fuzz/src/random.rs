//! Random numbers, the same for the same seed.

#[cfg(feature = "peer")]
use crate::value::{Type, Value};

/// A generator of pseudo-random numbers (splitmix64).
pub struct Random(u64);

impl Random {
    /// The sequence of that seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
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
    pub fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// That many bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let words = (0..length.div_ceil(8)).flat_map(|_| self.bits().to_le_bytes());
        words.take(length).collect()
    }

    /// An integer, often one where something happens: small, a power of two or next to one.
    pub fn integer(&mut self) -> u64 {
        let near = self.below(3) as u64;
        match self.below(4) {
            0 => self.bits(),
            1 => self.below(20) as u64,
            2 => (1u64 << self.below(64)).wrapping_add(near).wrapping_sub(1),
            _ => (self.below(1 << 17) as u64).wrapping_sub(near),
        }
    }

    /// A value of a type. References are null, apart from external ones.
    #[cfg(feature = "peer")]
    pub fn value(&mut self, ty: Type) -> Value {
        const FLOATS: [f64; 14] = [
            0.0,
            -0.0,
            1.0,
            -1.5,
            0.1,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            f64::MIN_POSITIVE,
            f64::MAX,
            2147483648.0,
            -2147483649.0,
            4294967296.0,
            9223372036854775808.0,
        ];
        let random = self.percent(30);
        match ty {
            Type::I32 => Value::I32(self.integer() as i32),
            Type::I64 => Value::I64(self.integer() as i64),
            Type::F32 if random => Value::F32(self.bits() as u32),
            Type::F32 => Value::F32((self.pick(&FLOATS) as f32).to_bits()),
            Type::F64 if random => Value::F64(self.bits()),
            Type::F64 => Value::F64(self.pick(&FLOATS).to_bits()),
            Type::V128 => {
                let (low, high) = (self.integer(), self.bits());
                Value::V128(u128::from(low) | u128::from(high) << 64)
            }
            Type::Extern => match self.percent(70) {
                true => Value::Extern(Some(self.below(1000) as u32)),
                false => Value::Extern(None),
            },
            Type::Func => Value::Func(false),
            Type::Exn => Value::Exn(false),
        }
    }
}

/// A hash of some bytes.
#[cfg(feature = "peer")]
pub fn hash(bytes: &[u8]) -> u64 {
    let mut state = Random::new(bytes.len() as u64);
    let chunks = bytes.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks {
        let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
        state.0 = (state.0 ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25);
        state.0 ^= state.0 >> 32;
    }
    for byte in rest {
        state.0 = (state.0 ^ u64::from(*byte)).wrapping_mul(0x9fb2_1c65_1e98_df25);
    }
    state.bits()
}
