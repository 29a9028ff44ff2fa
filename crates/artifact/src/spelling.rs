//! [`Spelling`]: types as WIT spells them.
//!
//! Types name each other, so what is short in a table may be long when it is written out, and a
//! guest chooses its names. So a text ends after a bounded number of bytes, and "…" stands for a
//! type of too many parts.

use crate::ids::{ResourceId, TypeId};
use crate::types::{Case, DefinedType, Field, FuncType, Type, TypeTable};
use std::borrow::Cow;

/// Types of more parts than this are not spelled out.
const SPELLED_PARTS: u32 = 10_000;
/// Texts end after so many bytes.
const SPELLED_BYTES: usize = 1 << 20;
/// What stands for the rest.
const ELLIPSIS: &str = "…";

/// What types and resources are called.
pub trait Names {
    /// The name of a resource.
    fn resource(&self, id: ResourceId) -> Cow<'_, str>;

    /// The name that stands for a type, if its structure does not.
    fn ty(&self, _id: TypeId) -> Option<&str> {
        None
    }
}

/// Resources by number.
pub(crate) struct ByNumber;

impl Names for ByNumber {
    fn resource(&self, id: ResourceId) -> Cow<'_, str> {
        id.to_string().into()
    }
}

/// How types are spelled: as WIT does, with some names.
#[derive(Clone, Copy)]
pub struct Spelling<'a, N> {
    /// Where the types are.
    pub types: &'a TypeTable,
    /// What they are called.
    pub names: N,
}

/// A text that ends when it is long enough.
#[derive(Default)]
struct Text {
    text: String,
    full: bool,
}

impl Text {
    fn push(&mut self, part: &str) {
        if self.full {
            return;
        }
        self.full = self.text.len() + part.len() > SPELLED_BYTES;
        self.text += match self.full {
            true => ELLIPSIS,
            false => part,
        };
    }

    /// Items with commas between them, as long as there is room.
    fn list<T>(&mut self, items: &[T], mut spell: impl FnMut(&mut Text, &T)) {
        for (index, item) in items.iter().enumerate() {
            if self.full {
                return;
            }
            if index > 0 {
                self.push(", ");
            }
            spell(self, item);
        }
    }
}

impl<N: Names> Spelling<'_, N> {
    /// A type: its name if it has one, or else what it is.
    pub fn ty(&self, ty: Type) -> String {
        let mut text = Text::default();
        self.push_type(&mut text, ty);
        text.text
    }

    /// What a type is, even if it has a name; its parts by their names.
    pub fn definition(&self, ty: Type) -> String {
        let mut text = Text::default();
        match ty {
            Type::Defined(id) => match self.types.get(id) {
                Some(defined) => self.push_defined(&mut text, defined),
                None => text.push(&id.to_string()),
            },
            primitive => self.push_type(&mut text, primitive),
        }
        text.text
    }

    /// A function type.
    pub fn func(&self, ty: &FuncType) -> String {
        let mut text = Text::default();
        text.push(if ty.is_async { "async func(" } else { "func(" });
        self.push_fields(&mut text, &ty.params);
        text.push(")");
        if let Some(result) = ty.result {
            text.push(" -> ");
            self.push_type(&mut text, result);
        }
        text.text
    }

    fn push_type(&self, text: &mut Text, ty: Type) {
        let plain = match ty {
            Type::Bool => "bool",
            Type::S8 => "s8",
            Type::U8 => "u8",
            Type::S16 => "s16",
            Type::U16 => "u16",
            Type::S32 => "s32",
            Type::U32 => "u32",
            Type::S64 => "s64",
            Type::U64 => "u64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::Char => "char",
            Type::String => "string",
            Type::ErrorContext => "error-context",
            Type::Defined(id) => {
                let facts = self.types.find_facts(ty);
                return match (self.names.ty(id), self.types.get(id)) {
                    (Some(name), _) => text.push(name),
                    (None, None) => text.push(&id.to_string()),
                    _ if facts.is_some_and(|facts| facts.weight > SPELLED_PARTS) => {
                        text.push(ELLIPSIS);
                    }
                    (None, Some(defined)) => self.push_defined(text, defined),
                };
            }
        };
        text.push(plain);
    }

    fn push_defined(&self, text: &mut Text, ty: &DefinedType) {
        if text.full {
            return;
        }
        match ty {
            DefinedType::Record(fields) => {
                text.push("record { ");
                self.push_fields(text, fields);
                text.push(" }");
            }
            DefinedType::Variant(cases) => {
                text.push("variant { ");
                text.list(cases, |text, case: &Case| {
                    text.push(&case.name);
                    if let Some(ty) = case.ty {
                        self.push_around(text, "(", &[Some(ty)], ")");
                    }
                });
                text.push(" }");
            }
            DefinedType::List(element) => self.push_around(text, "list<", &[Some(*element)], ">"),
            DefinedType::FixedLengthList(element, length) => {
                self.push_around(text, "list<", &[Some(*element)], &format!(", {length}>"));
            }
            DefinedType::Map(key, value) => {
                self.push_around(text, "map<", &[Some(*key), Some(*value)], ">");
            }
            DefinedType::Tuple(types) => {
                text.push("tuple<");
                text.list(types, |text, ty| self.push_type(text, *ty));
                text.push(">");
            }
            DefinedType::Flags(names) => push_labels(text, "flags", names),
            DefinedType::Enum(names) => push_labels(text, "enum", names),
            DefinedType::Option(ty) => self.push_around(text, "option<", &[Some(*ty)], ">"),
            DefinedType::Result { ok, err } => match (ok, err) {
                (None, None) => text.push("result"),
                (Some(_), None) => self.push_around(text, "result<", &[*ok], ">"),
                _ => self.push_around(text, "result<", &[*ok, *err], ">"),
            },
            DefinedType::Own(id) => push_handle(text, "own", &self.names.resource(*id)),
            DefinedType::Borrow(id) => push_handle(text, "borrow", &self.names.resource(*id)),
            DefinedType::Stream(None) => text.push("stream"),
            DefinedType::Stream(payload) => self.push_around(text, "stream<", &[*payload], ">"),
            DefinedType::Future(None) => text.push("future"),
            DefinedType::Future(payload) => self.push_around(text, "future<", &[*payload], ">"),
        }
    }

    /// Types, or `_`, between brackets.
    fn push_around(&self, text: &mut Text, open: &str, types: &[Option<Type>], close: &str) {
        text.push(open);
        text.list(types, |text, ty| match ty {
            Some(ty) => self.push_type(text, *ty),
            None => text.push("_"),
        });
        text.push(close);
    }

    fn push_fields(&self, text: &mut Text, fields: &[Field]) {
        text.list(fields, |text, field| {
            text.push(&field.name);
            text.push(": ");
            self.push_type(text, field.ty);
        });
    }
}

fn push_labels(text: &mut Text, keyword: &str, names: &[String]) {
    text.push(keyword);
    text.push(" { ");
    text.list(names, |text, name| text.push(name));
    text.push(" }");
}

fn push_handle(text: &mut Text, keyword: &str, name: &str) {
    text.push(keyword);
    text.push("<");
    text.push(name);
    text.push(">");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_however_long_names_are() {
        let mut types = TypeTable::default();
        let name = "n".repeat(10_000);
        let field = Field { name, ty: Type::U8 };
        let long = types.intern(DefinedType::Record(vec![field])).unwrap();
        let many = types.intern(DefinedType::Tuple(vec![long; 1000])).unwrap();
        let spelling = Spelling {
            types: &types,
            names: ByNumber,
        };
        let text = spelling.ty(many);
        assert!(
            text.len() <= SPELLED_BYTES + ELLIPSIS.len(),
            "{}",
            text.len()
        );
        assert!(text.ends_with(ELLIPSIS));
        // Of too many parts: only what has a name is written.
        let heavy = types.intern(DefinedType::Tuple(vec![many; 10])).unwrap();
        let spelling = Spelling {
            types: &types,
            names: ByNumber,
        };
        assert_eq!(spelling.ty(heavy), ELLIPSIS);
        assert!(spelling.definition(heavy).len() <= SPELLED_BYTES + ELLIPSIS.len());
    }
}
