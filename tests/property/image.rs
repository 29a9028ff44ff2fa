//! Values in the canonical layout, as a guest keeps them, and damage to them whose effect is known.

use super::guest::{Abi, Encoding, IMAGES, MEMORY_BYTES};
use super::random::Random;
use super::types::{Ty, Width, align_to, discriminant_size, payload_offset};
use trampette_runtime::{TrapCode, Val};

/// Limit of the Canonical ABI for bytes of strings and lists.
const MAX_BYTES: u64 = (1 << 28) - 1;
/// Bytes that are not part of any value.
const GARBAGE: u8 = 0xa5;

/// What lifting a damaged value does.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Expected {
    /// Nothing that can be seen.
    Same,
    Trap(TrapCode),
}

/// What a pair of pointer and length is of.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Content {
    List,
    Text,
}

/// A place that can be damaged.
#[derive(Clone, Debug)]
enum Site {
    /// A `bool` that is true.
    True(u64),
    Char(u64),
    Flags {
        at: u64,
        count: usize,
        size: usize,
    },
    Discriminant {
        at: u64,
        size: usize,
        cases: usize,
    },
    Pair {
        at: u64,
        content: Content,
        count: u64,
        unit: u64,
        align: u64,
        tag: u64,
    },
    /// Not empty; `length` is where its length is.
    Utf8 {
        at: u64,
        length: u64,
        text: String,
    },
    /// As above; its length has this tag.
    Utf16 {
        at: u64,
        length: u64,
        text: String,
        tag: u64,
    },
}

/// Values in the memory of one guest.
pub struct Images {
    abi: Abi,
    /// From [`IMAGES`] on.
    pub bytes: Vec<u8>,
    sites: Vec<Site>,
}

impl Images {
    pub fn new(abi: Abi) -> Images {
        Images {
            abi,
            bytes: Vec::new(),
            sites: Vec::new(),
        }
    }

    /// Adds a value; returns its address. [`Images::damage`] is then about this value.
    pub fn add(&mut self, ty: &Ty, value: &Val, random: &mut Random) -> u64 {
        self.sites.clear();
        let at = self.allocate(ty.size(self.abi.width), ty.align(self.abi.width));
        self.write(ty, value, at, random);
        at
    }

    fn allocate(&mut self, size: usize, align: usize) -> u64 {
        let start = align_to(self.bytes.len(), align);
        self.bytes.resize(start + size, GARBAGE);
        IMAGES + start as u64
    }

    fn put(&mut self, at: u64, size: usize, bits: u64) {
        let start = (at - IMAGES) as usize;
        self.bytes[start..start + size].copy_from_slice(&bits.to_le_bytes()[..size]);
    }

    fn write(&mut self, ty: &Ty, value: &Val, at: u64, random: &mut Random) {
        let width = self.abi.width;
        let pointer = width.bytes();
        match value {
            Val::Bool(v) => {
                self.put(at, 1, u64::from(*v));
                if *v {
                    self.sites.push(Site::True(at));
                }
            }
            Val::S8(v) => self.put(at, 1, *v as u64),
            Val::U8(v) => self.put(at, 1, u64::from(*v)),
            Val::S16(v) => self.put(at, 2, *v as u64),
            Val::U16(v) => self.put(at, 2, u64::from(*v)),
            Val::S32(v) => self.put(at, 4, *v as u64),
            Val::U32(v) => self.put(at, 4, u64::from(*v)),
            Val::S64(v) => self.put(at, 8, *v as u64),
            Val::U64(v) => self.put(at, 8, *v),
            Val::Float32(v) => self.put(at, 4, u64::from(v.to_bits())),
            Val::Float64(v) => self.put(at, 8, v.to_bits()),
            Val::Char(v) => {
                self.put(at, 4, u64::from(u32::from(*v)));
                self.sites.push(Site::Char(at));
            }
            Val::String(text) => self.text(text, at, random),
            Val::List(_) | Val::Map(_) if ty.element().is_some() => {
                let element = ty.element().expect("just asked");
                let values: Vec<Val> = match value {
                    Val::Map(entries) => {
                        let entry = |(k, v): &(Val, Val)| Val::Tuple(vec![k.clone(), v.clone()]);
                        entries.iter().map(entry).collect()
                    }
                    Val::List(values) => values.clone(),
                    _ => unreachable!(),
                };
                let (size, align) = (element.size(width), element.align(width));
                let start = self.allocate(size * values.len(), align);
                self.put(at, pointer, start);
                self.put(at + pointer as u64, pointer, values.len() as u64);
                self.sites.push(Site::Pair {
                    at,
                    content: Content::List,
                    count: values.len() as u64,
                    unit: size as u64,
                    align: align as u64,
                    tag: 0,
                });
                for (index, value) in values.iter().enumerate() {
                    self.write(&element, value, start + (index * size) as u64, random);
                }
            }
            Val::List(values) | Val::Tuple(values) => {
                let fields = ty.fields().expect("it is a sequence of fields");
                for ((field, value), offset) in fields.iter().zip(values).zip(ty.offsets(width)) {
                    self.write(field, value, at + offset as u64, random);
                }
            }
            Val::Record(values) => {
                let fields = ty.fields().expect("it is a sequence of fields");
                for ((field, value), offset) in fields.iter().zip(values).zip(ty.offsets(width)) {
                    self.write(field, &value.1, at + offset as u64, random);
                }
            }
            Val::Flags(names) => {
                let bits = names.iter().map(|name| 1 << number(name)).sum();
                let Ty::Flags(count) = *ty else {
                    unreachable!()
                };
                let size = ty.size(width);
                self.put(at, size, bits);
                if count < 8 * size {
                    self.sites.push(Site::Flags { at, count, size });
                }
            }
            Val::Enum(name) => self.case(ty, number(name), None, at, random),
            Val::Variant(name, payload) => {
                self.case(ty, number(name), payload.as_deref(), at, random);
            }
            Val::Option(payload) => {
                let index = usize::from(payload.is_some());
                self.case(ty, index, payload.as_deref(), at, random);
            }
            Val::Result(Ok(payload)) => self.case(ty, 0, payload.as_deref(), at, random),
            Val::Result(Err(payload)) => self.case(ty, 1, payload.as_deref(), at, random),
            Val::Map(_)
            | Val::Resource(_)
            | Val::ErrorContext(_)
            | Val::Stream(_)
            | Val::Future(_) => {
                unreachable!("no handles here")
            }
        }
    }

    fn case(&mut self, ty: &Ty, index: usize, value: Option<&Val>, at: u64, random: &mut Random) {
        let cases = ty.cases().expect("it is a variant");
        let size = discriminant_size(cases.len());
        self.put(at, size, index as u64);
        if cases.len() < 1 << (8 * size) {
            self.sites.push(Site::Discriminant {
                at,
                size,
                cases: cases.len(),
            });
        }
        if let (Some(payload), Some(value)) = (cases[index], value) {
            let offset = payload_offset(&cases, self.abi.width);
            self.write(payload, value, at + offset as u64, random);
        }
    }

    fn text(&mut self, text: &str, at: u64, random: &mut Random) {
        let pointer = self.abi.width.bytes();
        let length = at + pointer as u64;
        let latin1: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let high = 1 << (8 * pointer - 1);
        // Of two ways to write Latin-1 both are valid.
        let (bytes, unit, align, tag) = match (self.abi.encoding, latin1) {
            (Encoding::Utf8, _) => (text.as_bytes().to_vec(), 1, 1, 0),
            (Encoding::Utf16, _) => (utf16, 2, 2, 0),
            (Encoding::Latin1OrUtf16, Some(latin1)) if random.percent(60) => (latin1, 1, 2, 0),
            (Encoding::Latin1OrUtf16, _) => (utf16, 2, 2, high),
        };
        let count = bytes.len() as u64 / unit;
        let start = self.allocate(bytes.len(), align);
        let from = (start - IMAGES) as usize;
        self.bytes[from..].copy_from_slice(&bytes);
        self.put(at, pointer, start);
        self.put(length, pointer, count | tag);
        let content = Content::Text;
        self.sites.push(Site::Pair {
            at,
            content,
            count,
            unit,
            align: align as u64,
            tag,
        });
        let text = text.to_string();
        match (self.abi.encoding, unit) {
            _ if text.is_empty() => {}
            (Encoding::Utf8, _) => self.sites.push(Site::Utf8 {
                at: start,
                length,
                text,
            }),
            (_, 2) => self.sites.push(Site::Utf16 {
                at: start,
                length,
                text,
                tag,
            }),
            _ => {}
        }
    }

    /// Damages the last value somewhere, if it can be.
    pub fn damage(&mut self, random: &mut Random) -> Option<Expected> {
        if self.sites.is_empty() {
            return None;
        }
        let index = random.below(self.sites.len());
        let trap = |code| Some(Expected::Trap(code));
        match self.sites[index].clone() {
            Site::True(at) => {
                self.put(at, 1, random.pick(&[2, 0x80, 0xff]));
                Some(Expected::Same)
            }
            Site::Flags { at, count, size } => {
                let start = (at - IMAGES) as usize;
                for bit in count..8 * size {
                    self.bytes[start + bit / 8] |= 1 << (bit % 8);
                }
                Some(Expected::Same)
            }
            Site::Char(at) => {
                self.put(
                    at,
                    4,
                    random.pick(&[0xd800, 0xdbff, 0xdfff, 0x11_0000, 0xffff_ffff]),
                );
                trap(TrapCode::InvalidChar)
            }
            Site::Discriminant { at, size, cases } => {
                let most = u64::MAX >> (64 - 8 * size);
                let bad = random.pick(&[cases as u64, most, (cases as u64 + most) / 2]);
                self.put(at, size, bad.max(cases as u64));
                trap(TrapCode::InvalidDiscriminant)
            }
            site @ Site::Pair { .. } => trap(self.damage_pair(site, random)),
            Site::Utf8 { at, length, text } => trap(self.damage_utf8(at, length, &text, random)),
            Site::Utf16 {
                at,
                length,
                text,
                tag,
            } => {
                self.damage_utf16(at, length, &text, tag, random);
                trap(TrapCode::InvalidUtf16)
            }
        }
    }

    fn damage_pair(&mut self, site: Site, random: &mut Random) -> TrapCode {
        let Site::Pair {
            at,
            content,
            count,
            unit,
            align,
            tag,
        } = site
        else {
            unreachable!("called with a pair");
        };
        let pointer = self.abi.width.bytes();
        let length = at + pointer as u64;
        let (outside, too_long) = match content {
            Content::List => (TrapCode::ListOutOfBounds, TrapCode::ListTooLong),
            Content::Text => (TrapCode::StringOutOfBounds, TrapCode::StringTooLong),
        };
        let bytes = count * unit;
        match random.below(6) {
            0 if align > 1 => {
                let start = (at - IMAGES) as usize;
                self.bytes[start] |= random.pick(&[1, align as u8 - 1, align as u8 / 2]);
                TrapCode::UnalignedPointer
            }
            0 | 1 => {
                self.put(at, pointer, beyond(bytes, align));
                outside
            }
            2 => {
                self.put(at, pointer, align.wrapping_neg());
                outside
            }
            3 => {
                self.put(length, pointer, (MAX_BYTES / unit + 1) | tag);
                too_long
            }
            4 => {
                // Modulo the size of an address, such a list is short.
                let wrapping = match (self.abi.width, tag) {
                    (_, 1..) => MAX_BYTES,
                    (Width::P32, 0) if unit == 1 => 0x7fff_ffff,
                    (Width::P32, 0) => (1u64 << 32).div_ceil(unit),
                    (Width::P64, 0) if unit == 1 => u64::MAX >> 1,
                    (Width::P64, 0) => (u64::MAX / unit).wrapping_add(1),
                };
                self.put(length, pointer, wrapping | tag);
                too_long
            }
            _ => {
                self.put(length, pointer, (MEMORY_BYTES / unit + 1) | tag);
                outside
            }
        }
    }

    fn damage_utf8(&mut self, at: u64, length: u64, text: &str, random: &mut Random) -> TrapCode {
        let starts: Vec<usize> = text.char_indices().map(|(index, _)| index).collect();
        let start = random.pick(&starts);
        let put = |images: &mut Self, index: usize, bytes: &[u8]| {
            let from = (at - IMAGES) as usize + index;
            images.bytes[from..from + bytes.len()].copy_from_slice(bytes);
        };
        let bad: &[u8] = random.pick(&[
            b"\xff".as_slice(),
            b"\x80",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xe2\x82",
        ]);
        let last = *starts.last().expect("the text is not empty");
        match bad {
            // The last character is cut off.
            b"\xe2\x82" if last + 1 < text.len() => {
                self.put(length, self.abi.width.bytes(), text.len() as u64 - 1);
                TrapCode::IncompleteUtf8
            }
            b"\xe2\x82" => {
                put(self, last, &[random.pick(&[0xc3, 0xe2, 0xf0])]);
                TrapCode::IncompleteUtf8
            }
            bad if start + bad.len() <= text.len() => {
                put(self, start, bad);
                TrapCode::InvalidUtf8
            }
            _ => {
                put(self, start, b"\xfe");
                TrapCode::InvalidUtf8
            }
        }
    }

    fn damage_utf16(&mut self, at: u64, length: u64, text: &str, tag: u64, random: &mut Random) {
        let mut starts = Vec::new();
        let mut units = 0;
        for character in text.chars() {
            starts.push((units, character.len_utf16()));
            units += character.len_utf16();
        }
        match random.pick(&starts) {
            (start, 1) => {
                let bad = random.pick(&[0xd800, 0xdbff, 0xdc00, 0xdfff]);
                self.put(at + 2 * start as u64, 2, bad);
            }
            // The second half of a pair alone, or the first at the end.
            (start, _) if start + 2 < units || random.percent(50) => {
                self.put(at + 2 * start as u64, 2, 0x41);
            }
            _ => self.put(length, self.abi.width.bytes(), (units as u64 - 1) | tag),
        }
    }
}

/// The first aligned address from which that many bytes reach beyond the memory.
pub fn beyond(bytes: u64, align: u64) -> u64 {
    match bytes {
        0 => MEMORY_BYTES + align,
        bytes => MEMORY_BYTES - (bytes - 1) / align * align,
    }
}

/// The number in a label such as `c17`.
fn number(label: &str) -> usize {
    label[1..]
        .parse()
        .expect("labels are a letter and a number")
}
