//! Loads and stores of vectors and of their lanes.

use super::super::{Address, Translator};
use super::{cast, pop_as, push};
use cranelift_codegen::ir::types::{F32X4, F64X2, I8, I8X16, I16, I16X8, I32, I32X4, I64, I64X2};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use cranelift_frontend::FuncInstBuilder;
use wasmparser::{MemArg, Operator};

pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    match op {
        O::V128Load { memarg } => load(t, memarg, 16, |i, a| {
            i.load(I8X16, a.flags, a.base, a.offset)
        }),
        O::V128Store { memarg } => store(t, memarg),

        O::V128Load8x8S { memarg } => {
            load(t, memarg, 8, |i, a| i.sload8x8(a.flags, a.base, a.offset));
        }
        O::V128Load8x8U { memarg } => {
            load(t, memarg, 8, |i, a| i.uload8x8(a.flags, a.base, a.offset));
        }
        O::V128Load16x4S { memarg } => {
            load(t, memarg, 8, |i, a| i.sload16x4(a.flags, a.base, a.offset));
        }
        O::V128Load16x4U { memarg } => {
            load(t, memarg, 8, |i, a| i.uload16x4(a.flags, a.base, a.offset));
        }
        O::V128Load32x2S { memarg } => {
            load(t, memarg, 8, |i, a| i.sload32x2(a.flags, a.base, a.offset));
        }
        O::V128Load32x2U { memarg } => {
            load(t, memarg, 8, |i, a| i.uload32x2(a.flags, a.base, a.offset));
        }

        O::V128Load8Splat { memarg } => load_splat(t, memarg, I8, I8X16),
        O::V128Load16Splat { memarg } => load_splat(t, memarg, I16, I16X8),
        O::V128Load32Splat { memarg } => load_splat(t, memarg, I32, I32X4),
        O::V128Load64Splat { memarg } => load_splat(t, memarg, I64, I64X2),

        // As floats, so that a load that is used again stays in a vector register.
        O::V128Load32Zero { memarg } => load_zero(t, memarg, F32X4),
        O::V128Load64Zero { memarg } => load_zero(t, memarg, F64X2),

        O::V128Load8Lane { memarg, lane } => load_lane(t, memarg, *lane, I8X16),
        O::V128Load16Lane { memarg, lane } => load_lane(t, memarg, *lane, I16X8),
        O::V128Load32Lane { memarg, lane } => load_lane(t, memarg, *lane, I32X4),
        O::V128Load64Lane { memarg, lane } => load_lane(t, memarg, *lane, I64X2),

        O::V128Store8Lane { memarg, lane } => store_lane(t, memarg, *lane, I8X16),
        O::V128Store16Lane { memarg, lane } => store_lane(t, memarg, *lane, I16X8),
        O::V128Store32Lane { memarg, lane } => store_lane(t, memarg, *lane, I32X4),
        O::V128Store64Lane { memarg, lane } => store_lane(t, memarg, *lane, I64X2),

        _ => return false,
    }
    true
}

/// Pushes the vector that `operation` makes of what is at the address.
fn load(
    t: &mut Translator<'_, '_>,
    memarg: &MemArg,
    bytes: u32,
    operation: impl FnOnce(FuncInstBuilder<'_, '_>, Address) -> Value,
) {
    let address = t.memory_address(memarg, bytes);
    let vector = operation(t.builder.ins(), address);
    push(t, vector);
}

fn load_scalar(t: &mut Translator<'_, '_>, memarg: &MemArg, ty: Type) -> Value {
    let address = t.memory_address(memarg, ty.bytes());
    t.builder
        .ins()
        .load(ty, address.flags, address.base, address.offset)
}

fn load_splat(t: &mut Translator<'_, '_>, memarg: &MemArg, scalar: Type, vector: Type) {
    let value = load_scalar(t, memarg, scalar);
    let value = t.builder.ins().splat(vector, value);
    push(t, value);
}

fn load_zero(t: &mut Translator<'_, '_>, memarg: &MemArg, vector: Type) {
    let value = load_scalar(t, memarg, vector.lane_type());
    let value = t.builder.ins().scalar_to_vector(vector, value);
    push(t, value);
}

fn load_lane(t: &mut Translator<'_, '_>, memarg: &MemArg, lane: u8, ty: Type) {
    // The vector is above the index.
    let vector = pop_as(t, ty);
    let value = load_scalar(t, memarg, ty.lane_type());
    let vector = t.builder.ins().insertlane(vector, value, lane);
    push(t, vector);
}

fn store_lane(t: &mut Translator<'_, '_>, memarg: &MemArg, lane: u8, ty: Type) {
    let vector = pop_as(t, ty);
    let address = t.memory_address(memarg, ty.lane_type().bytes());
    let value = t.builder.ins().extractlane(vector, lane);
    t.builder
        .ins()
        .store(address.flags, value, address.base, address.offset);
}

fn store(t: &mut Translator<'_, '_>, memarg: &MemArg) {
    let vector = t.pop1();
    let vector = cast(&mut t.builder, vector, I8X16);
    let address = t.memory_address(memarg, 16);
    t.builder
        .ins()
        .store(address.flags, vector, address.base, address.offset);
}
