//! Arrays of [`ValRaw`]: how core values travel in the array-call convention.

use super::emitter::Emitter;
use crate::codegen::clif_type;
use crate::program::module::CoreType;
use cranelift_codegen::ir::{InstBuilder, Value};
use trampette_artifact::layout::ValRaw;

/// Bytes from one value to the next.
pub(crate) const VALUE_SIZE: u32 = size_of::<ValRaw>() as u32;

/// Displacement of the value at `index`; the validator limits parameters and results to 1000.
fn displacement(index: usize) -> i32 {
    i32::try_from(index * size_of::<ValRaw>()).expect("function types are limited")
}

/// Loads values from the array at `values`.
pub(crate) fn load_values(
    e: &mut Emitter<'_, '_>,
    values: Value,
    types: &[CoreType],
) -> Vec<Value> {
    let flags = e.native_flags();
    let load = |(index, ty): (usize, &CoreType)| {
        let at = displacement(index);
        e.builder.ins().load(clif_type(*ty), flags, values, at)
    };
    types.iter().enumerate().map(load).collect()
}

/// Stores `operands` to the array at `values`.
pub(crate) fn store_values(e: &mut Emitter<'_, '_>, values: Value, operands: &[Value]) {
    let flags = e.native_flags();
    for (index, operand) in operands.iter().enumerate() {
        let at = displacement(index);
        e.builder.ins().store(flags, *operand, values, at);
    }
}
