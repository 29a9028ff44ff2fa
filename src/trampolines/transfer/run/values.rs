//! Component-level values of every type, made at random, written and read in the native layout.

use super::machine::bytes;
use std::ptr;
use trampette_artifact::canonical::{
    SizeAlign, discriminant_size, flags_size, record_fields, variant_cases,
};
use trampette_artifact::native;
use trampette_artifact::types::{DefinedType, Type, TypeTable};

/// A component-level value.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Val {
    /// A scalar's bits.
    Bits(u64),
    Text(String),
    /// Elements or fields.
    Many(Vec<Val>),
    Case(u32, Option<Box<Val>>),
}

pub(super) const TEXTS: [&str; 12] = [
    "",
    "a",
    "abc",
    "hello",
    "12345678",
    "0123456789abcdef0123456789abcdef",
    "é",
    "grüße",
    "0123456789abcdef0123456789abcdé",
    "日本語",
    "ÿ then 日",
    "a longer text with more than thirty-two bytes, and 🦀",
];

/// Makes and reads native values.
pub(super) struct Values<'t> {
    pub types: &'t TypeTable,
    pub seed: u64,
    pub memory: Vec<Vec<u128>>,
}

impl Values<'_> {
    fn random(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        match below {
            0 => self.seed,
            below => self.seed % below,
        }
    }

    fn scalar_bytes(&self, ty: Type) -> u32 {
        native::size_align(self.types, ty).size
    }

    pub(super) fn make(&mut self, ty: Type) -> Val {
        let types = self.types;
        match ty {
            Type::Bool => Val::Bits(self.random(2)),
            Type::Char => {
                Val::Bits([0x41, 0xe9, 0xd7ff, 0xe000, 0x10_ffff][self.random(5) as usize])
            }
            Type::String => Val::Text(TEXTS[self.random(12) as usize].into()),
            Type::Defined(id) => match &types[id] {
                DefinedType::List(element) => {
                    let count = [0, 1, 3, 9][self.random(4) as usize];
                    Val::Many((0..count).map(|_| self.make(*element)).collect())
                }
                DefinedType::Map(key, value) => {
                    let count = [0, 1, 3][self.random(3) as usize];
                    let entry = |t: &mut Self| Val::Many(vec![t.make(*key), t.make(*value)]);
                    Val::Many((0..count).map(|_| entry(self)).collect())
                }
                DefinedType::FixedLengthList(element, count) => {
                    Val::Many((0..*count).map(|_| self.make(*element)).collect())
                }
                DefinedType::Flags(labels) => Val::Bits(self.random(0) & ((1 << labels.len()) - 1)),
                DefinedType::Own(_) | DefinedType::Borrow(_) => unreachable!("not tested here"),
                _ => match (record_fields(types, ty), variant_cases(types, ty)) {
                    (Some(fields), _) => {
                        Val::Many(fields.into_iter().map(|ty| self.make(ty)).collect())
                    }
                    (None, Some(cases)) => {
                        let index = self.random(cases.len() as u64);
                        let payload = cases[index as usize].map(|ty| Box::new(self.make(ty)));
                        Val::Case(index as u32, payload)
                    }
                    (None, None) => unreachable!(),
                },
            },
            _ => {
                let bits = 8 * self.scalar_bytes(ty);
                Val::Bits(self.random(0) & (u64::MAX >> (64 - bits)))
            }
        }
    }

    pub(super) fn block(&mut self, bytes: usize) -> *mut u8 {
        let mut block = vec![0u128; bytes.div_ceil(16).max(1)];
        let at = block.as_mut_ptr().cast();
        self.memory.push(block);
        at
    }

    fn put_bits(at: *mut u8, bits: u64, size: u32) {
        // SAFETY: the place has that size.
        unsafe { ptr::copy(bits.to_le_bytes().as_ptr(), at, size as usize) }
    }

    pub(super) fn get_bits(at: *const u8, size: u32) -> u64 {
        let mut bits = [0; 8];
        // SAFETY: the place has that size.
        unsafe { ptr::copy(at, bits.as_mut_ptr(), size as usize) }
        u64::from_le_bytes(bits)
    }

    /// Where the parts of a value with fields are, natively.
    fn parts(&self, ty: Type) -> Option<Vec<(Type, u32)>> {
        if let Some(fields) = record_fields(self.types, ty) {
            let (_, offsets) = native::record_layout(self.types, fields.iter().copied());
            return Some(fields.into_iter().zip(offsets).collect());
        }
        let Type::Defined(id) = ty else { return None };
        let DefinedType::FixedLengthList(element, count) = &self.types[id] else {
            return None;
        };
        let size = native::size_align(self.types, *element).size;
        Some((0..*count).map(|index| (*element, index * size)).collect())
    }

    /// The element of a list as fields, and its layout.
    fn element(&self, ty: Type) -> Option<(Vec<(Type, u32)>, SizeAlign)> {
        let Type::Defined(id) = ty else { return None };
        match &self.types[id] {
            DefinedType::List(element) => Some((
                vec![(*element, 0)],
                native::size_align(self.types, *element),
            )),
            DefinedType::Map(key, value) => {
                let (layout, offsets) = native::record_layout(self.types, [*key, *value]);
                Some((vec![(*key, 0), (*value, offsets[1])], layout))
            }
            _ => None,
        }
    }

    pub(super) fn write(&mut self, ty: Type, value: &Val, at: *mut u8) {
        // SAFETY: all places are inside blocks of the layout's size.
        let plus = |at: *mut u8, offset: u32| unsafe { at.add(offset as usize) };
        match value {
            Val::Bits(bits) => Self::put_bits(at, *bits, self.scalar_bytes(ty)),
            Val::Text(text) => {
                let block = self.block(text.len());
                unsafe { ptr::copy(text.as_ptr(), block, text.len()) };
                Self::put_bits(at, block as u64, 8);
                Self::put_bits(plus(at, 8), text.len() as u64, 8);
            }
            Val::Many(parts) => {
                if let Some((fields, layout)) = self.element(ty) {
                    let block = self.block(parts.len() * layout.size as usize);
                    Self::put_bits(at, block as u64, 8);
                    Self::put_bits(plus(at, 8), parts.len() as u64, 8);
                    for (index, part) in parts.iter().enumerate() {
                        let place = plus(block, index as u32 * layout.size);
                        match (part, fields.len()) {
                            (Val::Many(entry), 2) if self.is_map(ty) => {
                                for ((ty, offset), value) in fields.iter().zip(entry) {
                                    self.write(*ty, value, plus(place, *offset));
                                }
                            }
                            _ => self.write(fields[0].0, part, place),
                        }
                    }
                    return;
                }
                for ((ty, offset), part) in self.parts(ty).unwrap().into_iter().zip(parts) {
                    self.write(ty, part, plus(at, offset));
                }
            }
            Val::Case(index, payload) => {
                let cases = variant_cases(self.types, ty).unwrap();
                Self::put_bits(at, u64::from(*index), discriminant_size(cases.len()));
                if let (Some(ty), Some(payload)) = (cases[*index as usize], payload) {
                    let offset = native::payload_offset(self.types, &cases);
                    self.write(ty, payload, plus(at, offset));
                }
            }
        }
    }

    fn is_map(&self, ty: Type) -> bool {
        matches!(ty, Type::Defined(id) if matches!(self.types[id], DefinedType::Map(..)))
    }

    pub(super) fn read(&self, ty: Type, at: *const u8) -> Val {
        // SAFETY: as in `write`, if the code under test is right.
        let plus = |at: *const u8, offset: u32| unsafe { at.add(offset as usize) };
        let pair = || (Self::get_bits(at, 8), Self::get_bits(plus(at, 8), 8));
        if ty == Type::String {
            let (pointer, length) = pair();
            assert_ne!(pointer, 0);
            let text = unsafe { bytes(pointer, length) };
            return Val::Text(String::from_utf8(text.to_vec()).unwrap());
        }
        if let Some((fields, layout)) = self.element(ty) {
            let (pointer, count) = pair();
            assert_ne!(pointer, 0);
            assert_eq!(pointer % u64::from(layout.align), 0);
            let one = |index: u64| {
                let place = plus(pointer as *const u8, index as u32 * layout.size);
                let all = fields
                    .iter()
                    .map(|(ty, offset)| self.read(*ty, plus(place, *offset)));
                let mut all: Vec<Val> = all.collect();
                match self.is_map(ty) {
                    true => Val::Many(all),
                    false => all.remove(0),
                }
            };
            return Val::Many((0..count).map(one).collect());
        }
        if let Some(parts) = self.parts(ty) {
            let one = |(ty, offset)| self.read(ty, plus(at, offset));
            return Val::Many(parts.into_iter().map(one).collect());
        }
        if let Some(cases) = variant_cases(self.types, ty) {
            let index = Self::get_bits(at, discriminant_size(cases.len()));
            let offset = native::payload_offset(self.types, &cases);
            let payload = cases[index as usize].map(|ty| Box::new(self.read(ty, plus(at, offset))));
            return Val::Case(index as u32, payload);
        }
        let size = match ty {
            Type::Defined(id) => match &self.types[id] {
                DefinedType::Flags(labels) => flags_size(labels.len()),
                _ => 4,
            },
            _ => self.scalar_bytes(ty),
        };
        Val::Bits(Self::get_bits(at, size))
    }
}
