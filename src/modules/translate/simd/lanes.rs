//! Constants, moves of lanes, and operators on all 128 bits.

use super::super::Translator;
use super::super::numeric::push_truth;
use super::{before_cast, binary, cast, pop_as, pop2_as, push, unary};
use cranelift_codegen::ir::types::{F32X4, F64X2, I8, I8X16, I16, I16X8, I32, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use wasmparser::Operator;

pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    match op {
        O::V128Const { value } => constant(t, value.bytes()),
        O::I8x16Shuffle { lanes } => shuffle(t, lanes),
        O::I8x16Swizzle => binary(t, I8X16, |i, x, y| i.swizzle(x, y)),

        O::I8x16Splat => splat_low(t, I8, I8X16),
        O::I16x8Splat => splat_low(t, I16, I16X8),
        O::I32x4Splat => splat(t, I32X4),
        O::I64x2Splat => splat(t, I64X2),
        O::F32x4Splat => splat(t, F32X4),
        O::F64x2Splat => splat(t, F64X2),

        O::I8x16ExtractLaneS { lane } => {
            let value = extract(t, *lane, I8X16);
            let value = t.builder.ins().sextend(I32, value);
            t.push1(value);
        }
        O::I8x16ExtractLaneU { lane } => {
            let value = extract(t, *lane, I8X16);
            let value = t.builder.ins().uextend(I32, value);
            t.push1(value);
        }
        O::I16x8ExtractLaneS { lane } => {
            let value = extract(t, *lane, I16X8);
            let value = t.builder.ins().sextend(I32, value);
            t.push1(value);
        }
        O::I16x8ExtractLaneU { lane } => {
            let value = extract(t, *lane, I16X8);
            let value = t.builder.ins().uextend(I32, value);
            t.push1(value);
        }
        O::I32x4ExtractLane { lane } => extract_whole(t, *lane, I32X4),
        O::I64x2ExtractLane { lane } => extract_whole(t, *lane, I64X2),
        O::F32x4ExtractLane { lane } => extract_whole(t, *lane, F32X4),
        O::F64x2ExtractLane { lane } => extract_whole(t, *lane, F64X2),

        O::I8x16ReplaceLane { lane } => replace_low(t, *lane, I8X16),
        O::I16x8ReplaceLane { lane } => replace_low(t, *lane, I16X8),
        O::I32x4ReplaceLane { lane } => replace(t, *lane, I32X4),
        O::I64x2ReplaceLane { lane } => replace(t, *lane, I64X2),
        O::F32x4ReplaceLane { lane } => replace(t, *lane, F32X4),
        O::F64x2ReplaceLane { lane } => replace(t, *lane, F64X2),

        O::V128Not => unary(t, I8X16, |i, x| i.bnot(x)),
        O::V128And => binary(t, I8X16, |i, x, y| i.band(x, y)),
        O::V128AndNot => binary(t, I8X16, |i, x, y| i.band_not(x, y)),
        O::V128Or => binary(t, I8X16, |i, x, y| i.bor(x, y)),
        O::V128Xor => binary(t, I8X16, |i, x, y| i.bxor(x, y)),
        O::V128Bitselect => bitselect(t),
        O::V128AnyTrue => {
            // Any lanes do.
            let vector = t.pop1();
            let vector = before_cast(&t.builder, vector);
            let truth = t.builder.ins().vany_true(vector);
            push_truth(t, truth);
        }

        _ => return false,
    }
    true
}

fn constant(t: &mut Translator<'_, '_>, bytes: &[u8; 16]) {
    let bytes = t.builder.func.dfg.constants.insert(bytes[..].into());
    let value = t.builder.ins().vconst(I8X16, bytes);
    t.push1(value);
}

fn shuffle(t: &mut Translator<'_, '_>, lanes: &[u8; 16]) {
    let (first, second) = pop2_as(t, I8X16);
    let lanes = t.builder.func.dfg.immediates.push(lanes[..].into());
    let vector = t.builder.ins().shuffle(first, second, lanes);
    t.push1(vector);
}

fn splat(t: &mut Translator<'_, '_>, ty: Type) {
    let value = t.pop1();
    let vector = t.builder.ins().splat(ty, value);
    push(t, vector);
}

/// Splats the low bits of an `i32`.
fn splat_low(t: &mut Translator<'_, '_>, lane: Type, ty: Type) {
    let value = t.pop1();
    let value = t.builder.ins().ireduce(lane, value);
    let vector = t.builder.ins().splat(ty, value);
    push(t, vector);
}

fn extract(t: &mut Translator<'_, '_>, lane: u8, ty: Type) -> Value {
    let vector = pop_as(t, ty);
    t.builder.ins().extractlane(vector, lane)
}

/// Extracts a lane whose type is a type of the operand stack.
fn extract_whole(t: &mut Translator<'_, '_>, lane: u8, ty: Type) {
    let value = extract(t, lane, ty);
    t.push1(value);
}

fn replace(t: &mut Translator<'_, '_>, lane: u8, ty: Type) {
    let value = t.pop1();
    let vector = pop_as(t, ty);
    let vector = t.builder.ins().insertlane(vector, value, lane);
    push(t, vector);
}

/// Replaces a lane by the low bits of an `i32`.
fn replace_low(t: &mut Translator<'_, '_>, lane: u8, ty: Type) {
    let value = t.pop1();
    let value = t.builder.ins().ireduce(ty.lane_type(), value);
    t.push1(value);
    replace(t, lane, ty);
}

/// Selects bits in the lanes of the mask: if it is the result of a comparison, whole lanes are
/// selected by one instruction.
pub(super) fn bitselect(t: &mut Translator<'_, '_>) {
    let (first, second, mask) = t.pop3();
    let mask = before_cast(&t.builder, mask);
    let ty = t.builder.func.dfg.value_type(mask);
    let first = cast(&mut t.builder, first, ty);
    let second = cast(&mut t.builder, second, ty);
    let vector = t.builder.ins().bitselect(mask, first, second);
    push(t, vector);
}
