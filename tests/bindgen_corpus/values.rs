//! Rust values of the bindings as [`Val`]s and back, so that a call written in WAVE can be made
//! with them.

use super::worlds::alltypes::exports::trampette::alltypes::shapes::*;
use super::worlds::compose::trampette::compose::types::*;
use super::worlds::js_library::exports::trampette::jslib::api::{Json, Stat};
use anyhow::{Context, Result, bail};
use trampette_runtime::Val;

/// A type whose values can be written as [`Val`]s.
pub trait Dynamic: Sized {
    /// The value that a `Val` says.
    fn from_val(val: &Val) -> Result<Self>;

    /// The value as a `Val`.
    fn to_val(&self) -> Val;

    /// The value where a type may be left out: in a `result`, and what a function returns.
    fn from_optional(val: Option<&Val>) -> Result<Self> {
        Self::from_val(val.context("a value is missing")?)
    }

    /// The inverse of [`Dynamic::from_optional`].
    fn to_optional(&self) -> Option<Val> {
        Some(self.to_val())
    }
}

/// Nothing, where a type is left out.
impl Dynamic for () {
    fn from_val(val: &Val) -> Result<()> {
        bail!("expected nothing, found {val:?}")
    }

    fn to_val(&self) -> Val {
        Val::Tuple(Vec::new())
    }

    fn from_optional(val: Option<&Val>) -> Result<()> {
        val.map_or(Ok(()), Self::from_val)
    }

    fn to_optional(&self) -> Option<Val> {
        None
    }
}

macro_rules! scalars {
    ($($case:ident: $ty:ty,)*) => {$(
        impl Dynamic for $ty {
            fn from_val(val: &Val) -> Result<Self> {
                match val {
                    Val::$case(value) => Ok(value.clone()),
                    other => bail!("expected a {}, found {other:?}", stringify!($ty)),
                }
            }

            fn to_val(&self) -> Val {
                Val::$case(self.clone())
            }
        }
    )*};
}

scalars! {
    Bool: bool,
    S8: i8,
    U8: u8,
    S16: i16,
    U16: u16,
    S32: i32,
    U32: u32,
    S64: i64,
    U64: u64,
    Float32: f32,
    Float64: f64,
    Char: char,
    String: String,
}

impl<T: Dynamic> Dynamic for Vec<T> {
    fn from_val(val: &Val) -> Result<Self> {
        match val {
            Val::List(elements) => elements.iter().map(T::from_val).collect(),
            other => bail!("expected a list, found {other:?}"),
        }
    }

    fn to_val(&self) -> Val {
        Val::List(self.iter().map(T::to_val).collect())
    }
}

impl<T: Dynamic> Dynamic for Option<T> {
    fn from_val(val: &Val) -> Result<Self> {
        match val {
            Val::Option(some) => some.as_deref().map(T::from_val).transpose(),
            other => bail!("expected an option, found {other:?}"),
        }
    }

    fn to_val(&self) -> Val {
        Val::Option(self.as_ref().map(|value| Box::new(value.to_val())))
    }
}

impl<T: Dynamic, E: Dynamic> Dynamic for Result<T, E> {
    fn from_val(val: &Val) -> anyhow::Result<Self> {
        match val {
            Val::Result(Ok(ok)) => Ok(Ok(T::from_optional(ok.as_deref())?)),
            Val::Result(Err(err)) => Ok(Err(E::from_optional(err.as_deref())?)),
            other => bail!("expected a result, found {other:?}"),
        }
    }

    fn to_val(&self) -> Val {
        Val::Result(match self {
            Ok(ok) => Ok(ok.to_optional().map(Box::new)),
            Err(err) => Err(err.to_optional().map(Box::new)),
        })
    }
}

macro_rules! tuples {
    ($(($($ty:ident $index:tt),*),)*) => {$(
        impl<$($ty: Dynamic),*> Dynamic for ($($ty,)*) {
            fn from_val(val: &Val) -> Result<Self> {
                let Val::Tuple(fields) = val else {
                    bail!("expected a tuple, found {val:?}")
                };
                Ok(($($ty::from_optional(fields.get($index))?,)*))
            }

            fn to_val(&self) -> Val {
                Val::Tuple(vec![$(self.$index.to_val()),*])
            }
        }
    )*};
}

tuples! {
    (A 0, B 1),
    (A 0, B 1, C 2),
    (A 0, B 1, C 2, D 3),
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12),
}

macro_rules! records {
    ($($record:ident { $($label:literal: $field:ident,)* })*) => {$(
        impl Dynamic for $record {
            fn from_val(val: &Val) -> Result<Self> {
                let Val::Record(fields) = val else {
                    bail!("expected a record, found {val:?}")
                };
                let field = |label| {
                    let mut fields = fields.iter();
                    fields.find(|(name, _)| name == label).map(|(_, value)| value)
                };
                Ok($record { $($field: Dynamic::from_optional(field($label))?,)* })
            }

            fn to_val(&self) -> Val {
                Val::Record(vec![$(($label.into(), self.$field.to_val())),*])
            }
        }
    )*};
}

records! {
    Point { "x": x, "y": y, }
    Person {
        "name": name, "age": age, "tags": tags, "home": home, "favorite": favorite, "perms": perms,
    }
    TreeNode { "value": value, "children": children, }
    Order { "sku": sku, "qty": qty, "price": price, "tags": tags, }
    Line { "sku": sku, "total": total, "note": note, }
    Stat { "word": word, "count": count, "len": len, }
}

/// Variants: the cases without a payload, then those with one.
macro_rules! variants {
    ($($variant:ident { $($label:literal: $case:ident,)* } { $($with:literal: $payload:ident,)* })*) => {$(
        impl Dynamic for $variant {
            fn from_val(val: &Val) -> Result<Self> {
                let Val::Variant(case, payload) = val else {
                    bail!("expected a variant, found {val:?}")
                };
                match case.as_str() {
                    $($label => Ok($variant::$case),)*
                    $($with => Ok($variant::$payload(Dynamic::from_optional(payload.as_deref())?)),)*
                    other => bail!("there is no case `{other}`"),
                }
            }

            fn to_val(&self) -> Val {
                match self {
                    $($variant::$case => Val::Variant($label.into(), None),)*
                    $($variant::$payload(value) => {
                        Val::Variant($with.into(), Some(Box::new(value.to_val())))
                    })*
                }
            }
        }
    )*};
}

variants! {
    Shape { "empty": Empty, } {
        "circle": Circle, "rect": Rect, "polygon": Polygon, "portrait": Portrait, "label": Label,
    }
    Num {} { "i": I, "l": L, "f": F, "d": D, "c": C, "b": B, "h": H, }
    Err { "other": Other, } { "not-found": NotFound, "denied": Denied, "code": Code, }
    Op { "keys": Keys, "size": Size, } { "set": Set, "get": Get, "del": Del, }
    Reply { "done": Done, } { "value": Value, "names": Names, "count": Count, }
    Json { "null": Null, } {
        "boolean": Boolean, "number": Number, "text": Text, "items": Items,
    }
}

macro_rules! enums {
    ($($enum:ident { $($label:literal: $case:ident,)* })*) => {$(
        impl Dynamic for $enum {
            fn from_val(val: &Val) -> Result<Self> {
                $(if *val == Val::Enum($label.into()) {
                    return Ok($enum::$case);
                })*
                bail!("{val:?} is no {}", stringify!($enum))
            }

            fn to_val(&self) -> Val {
                Val::Enum(match self { $($enum::$case => $label,)* }.into())
            }
        }
    )*};
}

enums! {
    Color { "red": Red, "green": Green, "blue": Blue, "ultra-violet": UltraViolet, }
}

/// The bits of flags, given all names in order.
pub fn bits_of(val: &Val, names: &[String]) -> Result<u32> {
    let Val::Flags(set) = val else {
        bail!("expected flags, found {val:?}")
    };
    set.iter().try_fold(0, |bits, flag| {
        let position = names.iter().position(|name| name == flag);
        Ok(bits | 1 << position.with_context(|| format!("there is no flag `{flag}`"))?)
    })
}

pub fn flags_of(bits: u32, names: &[String]) -> Val {
    let set = names.iter().enumerate();
    let set = set.filter(|(index, _)| bits & 1 << index != 0);
    Val::Flags(set.map(|(_, name)| name.into()).collect())
}

macro_rules! flags {
    ($($flags:ident: $names:expr;)*) => {$(
        impl Dynamic for $flags {
            fn from_val(val: &Val) -> Result<Self> {
                Ok($flags::from_bits_truncate(bits_of(val, &$names)?))
            }

            fn to_val(&self) -> Val {
                flags_of(self.bits(), &$names)
            }
        }
    )*};
}

flags! {
    Perms: ["read", "write", "exec", "owner-a", "owner-b"].map(String::from);
    Wide: std::array::from_fn::<_, 32, _>(|index| format!("f{index}"));
}
