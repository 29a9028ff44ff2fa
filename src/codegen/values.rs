//! Core values outside of registers: arrays of them, and each as 64 bits.
//!
//! The array-call convention has an array of [`ValRaw`]; flat values of tasks travel in slots of 64
//! bits.

use super::emitter::Emitter;
use crate::codegen::clif_type;
use crate::program::module::CoreType;
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, Value, types};
use trampette_artifact::layout::ValRaw;

/// Bytes from one value to the next in an array.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stride(pub u32);

impl Stride {
    /// That of the array-call convention.
    pub(crate) const ARRAY_CALL: Stride = Stride(size_of::<ValRaw>() as u32);
    /// That of the flat values of a task.
    pub(crate) const FLAT: Stride = Stride(size_of::<u64>() as u32);

    /// Displacement of the value at `index`; the validator limits parameters and results to 1000.
    fn displacement(self, index: usize) -> i32 {
        i32::try_from(index * self.0 as usize).expect("function types are limited")
    }
}

/// Room for so many values in the frame.
pub(crate) fn value_slots(e: &mut Emitter<'_, '_>, count: u32, stride: Stride) -> Value {
    e.stack_slot(count * stride.0, stride.0)
}

/// Loads values from the array at `values`.
pub(crate) fn load_values(
    e: &mut Emitter<'_, '_>,
    values: Value,
    stride: Stride,
    types: &[CoreType],
) -> Vec<Value> {
    let flags = e.native_flags();
    let load = |(index, ty): (usize, &CoreType)| {
        let at = stride.displacement(index);
        e.builder.ins().load(clif_type(*ty), flags, values, at)
    };
    types.iter().enumerate().map(load).collect()
}

/// Stores `operands` to the array at `values`.
pub(crate) fn store_values(
    e: &mut Emitter<'_, '_>,
    values: Value,
    stride: Stride,
    operands: &[Value],
) {
    let flags = e.native_flags();
    for (index, operand) in operands.iter().enumerate() {
        let at = stride.displacement(index);
        e.builder.ins().store(flags, *operand, values, at);
    }
}

/// A core value as 64 bits.
pub(crate) fn to_bits(e: &mut Emitter<'_, '_>, value: Value) -> Value {
    let raw = MemFlagsData::new();
    let ty = e.builder.func.dfg.value_type(value);
    let value = match ty {
        types::F32 => e.builder.ins().bitcast(types::I32, raw, value),
        types::F64 => e.builder.ins().bitcast(types::I64, raw, value),
        _ => value,
    };
    match e.builder.func.dfg.value_type(value) {
        types::I32 => e.builder.ins().uextend(types::I64, value),
        _ => value,
    }
}

/// The inverse of [`to_bits`].
pub(crate) fn from_bits(e: &mut Emitter<'_, '_>, bits: Value, ty: ir::Type) -> Value {
    let raw = MemFlagsData::new();
    let bits = match ty.bits() {
        32 => e.builder.ins().ireduce(types::I32, bits),
        _ => bits,
    };
    match ty {
        types::F32 | types::F64 => e.builder.ins().bitcast(ty, raw, bits),
        _ => bits,
    }
}
