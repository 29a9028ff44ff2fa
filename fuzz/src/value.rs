//! Core types and values as both engines have them, and what a host function returns.

use crate::random::{Random, hash};
use wasmparser::{AbstractHeapType, HeapType, ValType};

/// A core type of which the harness can make values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Type {
    I32,
    I64,
    F32,
    F64,
    V128,
    Func,
    Extern,
    Exn,
}

impl Type {
    /// The type, unless no value of it can be made: a reference that cannot be null.
    pub fn of(ty: ValType) -> Option<Type> {
        use AbstractHeapType as Abstract;
        Some(match ty {
            ValType::I32 => Type::I32,
            ValType::I64 => Type::I64,
            ValType::F32 => Type::F32,
            ValType::F64 => Type::F64,
            ValType::V128 => Type::V128,
            ValType::Ref(reference) if !reference.is_nullable() => return None,
            ValType::Ref(reference) => match reference.heap_type() {
                HeapType::Abstract { shared: false, ty } => match ty {
                    Abstract::Func | Abstract::NoFunc => Type::Func,
                    Abstract::Extern | Abstract::NoExtern => Type::Extern,
                    Abstract::Exn | Abstract::NoExn => Type::Exn,
                    _ => return None,
                },
                HeapType::Concrete(_) => Type::Func,
                _ => return None,
            },
        })
    }

    /// What an imported global holds: zero or null, as the peer's does.
    pub fn zero(self) -> Value {
        match self {
            Type::I32 => Value::I32(0),
            Type::I64 => Value::I64(0),
            Type::F32 => Value::F32(0),
            Type::F64 => Value::F64(0),
            Type::V128 => Value::V128(0),
            Type::Func => Value::Func(false),
            Type::Extern => Value::Extern(None),
            Type::Exn => Value::Exn(false),
        }
    }

    /// Whether components can pass it: a number.
    pub fn is_scalar(self) -> bool {
        matches!(self, Type::I32 | Type::I64 | Type::F32 | Type::F64)
    }
}

/// The type of a function.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Signature {
    pub params: Vec<Type>,
    pub results: Vec<Type>,
}

impl Signature {
    /// The type, if values of all types in it can be made.
    pub fn of(ty: &wasmparser::FuncType) -> Option<Signature> {
        let all = |types: &[ValType]| {
            types
                .iter()
                .map(|ty| Type::of(*ty))
                .collect::<Option<Vec<_>>>()
        };
        Some(Signature {
            params: all(ty.params())?,
            results: all(ty.results())?,
        })
    }
}

/// A core value, as far as two engines can agree on it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Value {
    /// `i32`.
    I32(i32),
    /// `i64`.
    I64(i64),
    /// `f32`, as bits.
    F32(u32),
    /// `f64`, as bits.
    F64(u64),
    /// `v128`.
    V128(u128),
    /// Whether a reference to a function is not null.
    Func(bool),
    /// A number of the host's, or null.
    Extern(Option<u32>),
    /// Whether a reference to an exception is not null.
    Exn(bool),
}

impl Value {
    /// The same value; all NaNs become one. Components may change the bits of a NaN.
    pub fn with_one_nan(self) -> Value {
        match self {
            Value::F32(bits) if f32::from_bits(bits).is_nan() => Value::F32(f32::NAN.to_bits()),
            Value::F64(bits) if f64::from_bits(bits).is_nan() => Value::F64(f64::NAN.to_bits()),
            value => value,
        }
    }
}

/// A host function returned an error on purpose.
#[derive(Debug)]
pub struct HostFailure;

impl std::fmt::Display for HostFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the host function fails")
    }
}

impl std::error::Error for HostFailure {}

/// What the host function of that number does: its results depend on nothing but its arguments. A
/// few calls fail.
pub fn host_function(
    number: usize,
    arguments: &[Value],
    results: &[Type],
) -> Result<Vec<Value>, HostFailure> {
    let text = format!("{number} {arguments:?}");
    let mut random = Random::new(hash(text.as_bytes()));
    if random.below(100) == 0 {
        return Err(HostFailure);
    }
    Ok(results.iter().map(|ty| random.value(*ty)).collect())
}
