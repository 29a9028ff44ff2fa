//! The calls of `realloc` that lowering a value makes, after CanonicalABI.md (*Storing*): how many,
//! in which order and with which sizes is part of the specification, since guests see it.

use super::guest::{Abi, Encoding};
use super::types::{Ty, Width};
use trampette_runtime::{TrapCode, Val};

/// What memory is for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Purpose {
    Tuple,
    List,
    Text,
}

/// One call.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Allocation {
    pub old_size: u32,
    pub align: u32,
    pub size: u32,
    pub purpose: Purpose,
    pub from: Source,
}

/// Where strings come from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Source {
    /// The host, which has UTF-8.
    Host,
    /// A guest of that encoding; `latin1+utf16` is Latin-1 wherever it can be.
    Guest(Encoding),
}

impl Allocation {
    /// The trap if the call returns an aligned address out of bounds.
    pub fn outside(&self) -> TrapCode {
        match (self.from, self.purpose) {
            (Source::Host, _) => TrapCode::ReallocOutOfBounds,
            (Source::Guest(_), Purpose::Tuple) => TrapCode::PointerOutOfBounds,
            (Source::Guest(_), Purpose::List) => TrapCode::ListOutOfBounds,
            (Source::Guest(_), Purpose::Text) => TrapCode::StringContentOutOfBounds,
        }
    }

    /// The trap if the call returns an address that is not aligned.
    pub fn misaligned(&self) -> TrapCode {
        match self.from {
            Source::Host => TrapCode::ReallocUnaligned,
            Source::Guest(_) => TrapCode::UnalignedPointer,
        }
    }
}

/// Calls in their order.
pub struct Allocations {
    pub all: Vec<Allocation>,
    to: Abi,
    from: Source,
}

impl Allocations {
    /// Those of lowering into a guest; none so far.
    pub fn new(to: Abi) -> Allocations {
        Allocations {
            all: Vec::new(),
            to,
            from: Source::Host,
        }
    }

    /// Adds those of a parameter.
    pub fn param(&mut self, ty: &Ty, value: &Val, from: Source) {
        self.from = from;
        let Abi { width, .. } = self.to;
        if ty.flat(width).len() > 16 {
            self.call(0, ty.align(width), ty.size(width), Purpose::Tuple);
        }
        self.value(ty, value);
    }

    /// Adds those of the result of an imported function.
    pub fn result(&mut self, ty: &Ty, value: &Val, from: Source) {
        self.from = from;
        self.value(ty, value);
    }

    fn call(&mut self, old_size: usize, align: usize, size: usize, purpose: Purpose) {
        self.all.push(Allocation {
            old_size: old_size as u32,
            align: align as u32,
            size: size as u32,
            purpose,
            from: self.from,
        });
    }

    fn list<'v>(&mut self, element: &Ty, values: impl ExactSizeIterator<Item = &'v Val>) {
        let width: Width = self.to.width;
        let size = element.size(width) * values.len();
        self.call(0, element.align(width), size, Purpose::List);
        for value in values {
            self.value(element, value);
        }
    }

    fn value(&mut self, ty: &Ty, value: &Val) {
        match (ty, value) {
            (Ty::String, Val::String(text)) => self.text(text),
            (Ty::List(element), Val::List(values)) => self.list(element, values.iter()),
            (Ty::Map(..), Val::Map(entries)) => {
                let entry = |(k, v): &(Val, Val)| Val::Tuple(vec![k.clone(), v.clone()]);
                let entries: Vec<Val> = entries.iter().map(entry).collect();
                let element = ty.element().expect("a map has entries");
                self.list(&element, entries.iter());
            }
            (_, Val::List(values) | Val::Tuple(values)) => {
                let fields = ty.fields().expect("it is a sequence of fields");
                for (ty, value) in fields.into_iter().zip(values) {
                    self.value(ty, value);
                }
            }
            (Ty::Record(fields), Val::Record(values)) => {
                for (ty, (_, value)) in fields.iter().zip(values) {
                    self.value(ty, value);
                }
            }
            (_, Val::Variant(name, Some(value))) => {
                let index: usize = name[1..].parse().expect("cases are numbered");
                self.payload(ty, index, value);
            }
            (_, Val::Option(Some(value))) => self.payload(ty, 1, value),
            (_, Val::Result(Ok(Some(value)))) => self.payload(ty, 0, value),
            (_, Val::Result(Err(Some(value)))) => self.payload(ty, 1, value),
            _ => {}
        }
    }

    fn payload(&mut self, ty: &Ty, index: usize, value: &Val) {
        let cases = ty.cases().expect("it is a variant");
        self.value(cases[index].expect("it has a payload"), value);
    }

    /// `store_string_into_range`.
    fn text(&mut self, text: &str) {
        let utf16 = 2 * text.encode_utf16().count();
        let characters = text.chars().count();
        let latin1 = text.chars().all(|c| u32::from(c) < 0x100);
        // Code units of the source.
        let (units, simple) = match self.from {
            Source::Host | Source::Guest(Encoding::Utf8) => (text.len(), Simple::Utf8),
            Source::Guest(Encoding::Latin1OrUtf16) if latin1 => (characters, Simple::Latin1),
            Source::Guest(_) => (utf16 / 2, Simple::Utf16),
        };
        let tagged = self.from == Source::Guest(Encoding::Latin1OrUtf16);
        match (self.to.encoding, simple) {
            (Encoding::Utf8, Simple::Utf8) => self.string(0, 1, units),
            (Encoding::Utf8, _) => {
                let growth = if simple == Simple::Utf16 { 3 } else { 2 };
                self.string(0, 1, units);
                if !text.is_ascii() {
                    self.string(units, 1, units * growth);
                    if units * growth > text.len() {
                        self.string(units * growth, 1, text.len());
                    }
                }
            }
            (Encoding::Utf16, Simple::Utf8) => {
                self.string(0, 2, 2 * units);
                if utf16 < 2 * units {
                    self.string(2 * units, 2, utf16);
                }
            }
            (Encoding::Utf16, _) => self.string(0, 2, 2 * units),
            (Encoding::Latin1OrUtf16, Simple::Latin1) => self.string(0, 2, units),
            (Encoding::Latin1OrUtf16, Simple::Utf16) if tagged => {
                self.string(0, 2, 2 * units);
                if latin1 {
                    self.string(2 * units, 1, units);
                }
            }
            (Encoding::Latin1OrUtf16, _) => {
                self.string(0, 2, units);
                match latin1 {
                    true if characters < units => self.string(units, 2, characters),
                    true => {}
                    false => {
                        self.string(units, 2, 2 * units);
                        if 2 * units > utf16 {
                            self.string(2 * units, 2, utf16);
                        }
                    }
                }
            }
        }
    }

    fn string(&mut self, old_size: usize, align: usize, size: usize) {
        self.call(old_size, align, size, Purpose::Text);
    }
}

/// An encoding that is not chosen string by string.
#[derive(Clone, Copy, PartialEq)]
enum Simple {
    Utf8,
    Utf16,
    Latin1,
}
