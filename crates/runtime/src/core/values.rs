//! [`CoreVal`]: core values, and how they lie in arrays and contexts.

use crate::load::component::Component;
use anyhow::{Context, Result, bail, ensure};
use trampette_artifact::ids::FunctionId;
use trampette_artifact::layout::ValRaw;
use trampette_artifact::metadata::CoreValueType;

/// A core value. Floats are bits, so that NaNs stay what they are.
///
/// ```
/// use trampette_runtime::CoreVal;
///
/// let pi = CoreVal::F64(3.14_f64.to_bits());
/// assert_ne!(pi, CoreVal::I64(3));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CoreVal {
    /// `i32`.
    I32(i32),
    /// `i64`.
    I64(i64),
    /// `f32`, as bits.
    F32(u32),
    /// `f64`, as bits.
    F64(u64),
    /// `v128`, little-endian.
    V128([u8; 16]),
    /// A reference to a function, or null.
    FuncRef(Option<FunctionId>),
    /// A reference to something of the host's, by a number that it chose (below `u32::MAX`), or
    /// null.
    ExternRef(Option<u32>),
    /// A reference to an exception, or null; only guest code makes and uses them.
    ExnRef(Option<u32>),
}

impl CoreVal {
    pub(crate) fn read(raw: &ValRaw, ty: CoreValueType) -> CoreVal {
        // SAFETY: every bit pattern is valid for every field; what a narrow field leaves out is
        // ignored.
        unsafe {
            match ty {
                CoreValueType::I32 => CoreVal::I32(raw.i32),
                CoreValueType::I64 => CoreVal::I64(raw.i64),
                CoreValueType::F32 => CoreVal::F32(raw.f32),
                CoreValueType::F64 => CoreVal::F64(raw.f64),
                CoreValueType::V128 => CoreVal::V128(raw.v128),
                CoreValueType::FuncRef | CoreValueType::TypedFuncRef => {
                    CoreVal::FuncRef((raw.funcref != 0).then_some(FunctionId(raw.funcref)))
                }
                CoreValueType::ExternRef => CoreVal::ExternRef(raw.externref.checked_sub(1)),
                CoreValueType::ExnRef => CoreVal::ExnRef(raw.externref.checked_sub(1)),
            }
        }
    }

    /// The raw value, if it has the type and names a function that exists.
    pub(crate) fn write(self, ty: CoreValueType, component: &Component) -> Result<ValRaw> {
        let mut raw = ValRaw { v128: [0; 16] };
        match (self, ty) {
            (CoreVal::I32(value), CoreValueType::I32) => raw.i32 = value,
            (CoreVal::I64(value), CoreValueType::I64) => raw.i64 = value,
            (CoreVal::F32(bits), CoreValueType::F32) => raw.f32 = bits,
            (CoreVal::F64(bits), CoreValueType::F64) => raw.f64 = bits,
            (CoreVal::V128(bytes), CoreValueType::V128) => raw.v128 = bytes,
            (CoreVal::FuncRef(None), CoreValueType::FuncRef | CoreValueType::TypedFuncRef)
            | (CoreVal::ExternRef(None), CoreValueType::ExternRef)
            | (CoreVal::ExnRef(None), CoreValueType::ExnRef) => {}
            (CoreVal::FuncRef(Some(id)), CoreValueType::FuncRef) => {
                ensure!(
                    id.0 < component.metadata().function_table_length,
                    "the artifact has no {id}"
                );
                raw.funcref = id.0;
            }
            (CoreVal::ExternRef(Some(number)), CoreValueType::ExternRef) => {
                raw.externref = number
                    .checked_add(1)
                    .context("the reference is too large")?;
            }
            _ => bail!("{self:?} is given where {ty:?} is expected"),
        }
        Ok(raw)
    }
}

/// Bytes of a global's value in a context.
pub(crate) fn size_of_value(ty: CoreValueType) -> usize {
    match ty {
        CoreValueType::V128 => 16,
        CoreValueType::I64 | CoreValueType::F64 => 8,
        _ => 4,
    }
}
