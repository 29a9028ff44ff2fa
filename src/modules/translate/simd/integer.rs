//! Integer lanes: comparisons, arithmetic, widening and narrowing.

use super::super::Translator;
use super::super::numeric::push_truth;
use super::{binary, compare_integers, pop_as, pop2_as, push, unary};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8X16, I16X8, I32, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use cranelift_frontend::{FuncInstBuilder, FunctionBuilder};
use wasmparser::Operator;

pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    comparison(t, op) || arithmetic(t, op) || shift(t, op) || test(t, op) || resize(t, op)
}

fn comparison(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    match op {
        O::I8x16Eq => compare_integers(t, I8X16, IntCC::Equal),
        O::I8x16Ne => compare_integers(t, I8X16, IntCC::NotEqual),
        O::I8x16LtS => compare_integers(t, I8X16, IntCC::SignedLessThan),
        O::I8x16LtU => compare_integers(t, I8X16, IntCC::UnsignedLessThan),
        O::I8x16GtS => compare_integers(t, I8X16, IntCC::SignedGreaterThan),
        O::I8x16GtU => compare_integers(t, I8X16, IntCC::UnsignedGreaterThan),
        O::I8x16LeS => compare_integers(t, I8X16, IntCC::SignedLessThanOrEqual),
        O::I8x16LeU => compare_integers(t, I8X16, IntCC::UnsignedLessThanOrEqual),
        O::I8x16GeS => compare_integers(t, I8X16, IntCC::SignedGreaterThanOrEqual),
        O::I8x16GeU => compare_integers(t, I8X16, IntCC::UnsignedGreaterThanOrEqual),

        O::I16x8Eq => compare_integers(t, I16X8, IntCC::Equal),
        O::I16x8Ne => compare_integers(t, I16X8, IntCC::NotEqual),
        O::I16x8LtS => compare_integers(t, I16X8, IntCC::SignedLessThan),
        O::I16x8LtU => compare_integers(t, I16X8, IntCC::UnsignedLessThan),
        O::I16x8GtS => compare_integers(t, I16X8, IntCC::SignedGreaterThan),
        O::I16x8GtU => compare_integers(t, I16X8, IntCC::UnsignedGreaterThan),
        O::I16x8LeS => compare_integers(t, I16X8, IntCC::SignedLessThanOrEqual),
        O::I16x8LeU => compare_integers(t, I16X8, IntCC::UnsignedLessThanOrEqual),
        O::I16x8GeS => compare_integers(t, I16X8, IntCC::SignedGreaterThanOrEqual),
        O::I16x8GeU => compare_integers(t, I16X8, IntCC::UnsignedGreaterThanOrEqual),

        O::I32x4Eq => compare_integers(t, I32X4, IntCC::Equal),
        O::I32x4Ne => compare_integers(t, I32X4, IntCC::NotEqual),
        O::I32x4LtS => compare_integers(t, I32X4, IntCC::SignedLessThan),
        O::I32x4LtU => compare_integers(t, I32X4, IntCC::UnsignedLessThan),
        O::I32x4GtS => compare_integers(t, I32X4, IntCC::SignedGreaterThan),
        O::I32x4GtU => compare_integers(t, I32X4, IntCC::UnsignedGreaterThan),
        O::I32x4LeS => compare_integers(t, I32X4, IntCC::SignedLessThanOrEqual),
        O::I32x4LeU => compare_integers(t, I32X4, IntCC::UnsignedLessThanOrEqual),
        O::I32x4GeS => compare_integers(t, I32X4, IntCC::SignedGreaterThanOrEqual),
        O::I32x4GeU => compare_integers(t, I32X4, IntCC::UnsignedGreaterThanOrEqual),

        O::I64x2Eq => compare_integers(t, I64X2, IntCC::Equal),
        O::I64x2Ne => compare_integers(t, I64X2, IntCC::NotEqual),
        O::I64x2LtS => compare_integers(t, I64X2, IntCC::SignedLessThan),
        O::I64x2GtS => compare_integers(t, I64X2, IntCC::SignedGreaterThan),
        O::I64x2LeS => compare_integers(t, I64X2, IntCC::SignedLessThanOrEqual),
        O::I64x2GeS => compare_integers(t, I64X2, IntCC::SignedGreaterThanOrEqual),

        _ => return false,
    }
    true
}

fn arithmetic(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    match op {
        O::I8x16Abs => unary(t, I8X16, |i, x| i.iabs(x)),
        O::I8x16Neg => unary(t, I8X16, |i, x| i.ineg(x)),
        O::I8x16Popcnt => unary(t, I8X16, |i, x| i.popcnt(x)),
        O::I8x16Add => binary(t, I8X16, |i, x, y| i.iadd(x, y)),
        O::I8x16AddSatS => binary(t, I8X16, |i, x, y| i.sadd_sat(x, y)),
        O::I8x16AddSatU => binary(t, I8X16, |i, x, y| i.uadd_sat(x, y)),
        O::I8x16Sub => binary(t, I8X16, |i, x, y| i.isub(x, y)),
        O::I8x16SubSatS => binary(t, I8X16, |i, x, y| i.ssub_sat(x, y)),
        O::I8x16SubSatU => binary(t, I8X16, |i, x, y| i.usub_sat(x, y)),
        O::I8x16MinS => binary(t, I8X16, |i, x, y| i.smin(x, y)),
        O::I8x16MinU => binary(t, I8X16, |i, x, y| i.umin(x, y)),
        O::I8x16MaxS => binary(t, I8X16, |i, x, y| i.smax(x, y)),
        O::I8x16MaxU => binary(t, I8X16, |i, x, y| i.umax(x, y)),
        O::I8x16AvgrU => binary(t, I8X16, |i, x, y| i.avg_round(x, y)),

        O::I16x8Abs => unary(t, I16X8, |i, x| i.iabs(x)),
        O::I16x8Neg => unary(t, I16X8, |i, x| i.ineg(x)),
        O::I16x8Add => binary(t, I16X8, |i, x, y| i.iadd(x, y)),
        O::I16x8AddSatS => binary(t, I16X8, |i, x, y| i.sadd_sat(x, y)),
        O::I16x8AddSatU => binary(t, I16X8, |i, x, y| i.uadd_sat(x, y)),
        O::I16x8Sub => binary(t, I16X8, |i, x, y| i.isub(x, y)),
        O::I16x8SubSatS => binary(t, I16X8, |i, x, y| i.ssub_sat(x, y)),
        O::I16x8SubSatU => binary(t, I16X8, |i, x, y| i.usub_sat(x, y)),
        O::I16x8Mul => binary(t, I16X8, |i, x, y| i.imul(x, y)),
        O::I16x8MinS => binary(t, I16X8, |i, x, y| i.smin(x, y)),
        O::I16x8MinU => binary(t, I16X8, |i, x, y| i.umin(x, y)),
        O::I16x8MaxS => binary(t, I16X8, |i, x, y| i.smax(x, y)),
        O::I16x8MaxU => binary(t, I16X8, |i, x, y| i.umax(x, y)),
        O::I16x8AvgrU => binary(t, I16X8, |i, x, y| i.avg_round(x, y)),
        O::I16x8Q15MulrSatS => binary(t, I16X8, |i, x, y| i.sqmul_round_sat(x, y)),

        O::I32x4Abs => unary(t, I32X4, |i, x| i.iabs(x)),
        O::I32x4Neg => unary(t, I32X4, |i, x| i.ineg(x)),
        O::I32x4Add => binary(t, I32X4, |i, x, y| i.iadd(x, y)),
        O::I32x4Sub => binary(t, I32X4, |i, x, y| i.isub(x, y)),
        O::I32x4Mul => binary(t, I32X4, |i, x, y| i.imul(x, y)),
        O::I32x4MinS => binary(t, I32X4, |i, x, y| i.smin(x, y)),
        O::I32x4MinU => binary(t, I32X4, |i, x, y| i.umin(x, y)),
        O::I32x4MaxS => binary(t, I32X4, |i, x, y| i.smax(x, y)),
        O::I32x4MaxU => binary(t, I32X4, |i, x, y| i.umax(x, y)),

        O::I64x2Abs => unary(t, I64X2, |i, x| i.iabs(x)),
        O::I64x2Neg => unary(t, I64X2, |i, x| i.ineg(x)),
        O::I64x2Add => binary(t, I64X2, |i, x, y| i.iadd(x, y)),
        O::I64x2Sub => binary(t, I64X2, |i, x, y| i.isub(x, y)),
        O::I64x2Mul => binary(t, I64X2, |i, x, y| i.imul(x, y)),

        _ => return false,
    }
    true
}

fn shift(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    match op {
        O::I8x16Shl => shift_by(t, I8X16, |i, x, y| i.ishl(x, y)),
        O::I8x16ShrS => shift_by(t, I8X16, |i, x, y| i.sshr(x, y)),
        O::I8x16ShrU => shift_by(t, I8X16, |i, x, y| i.ushr(x, y)),
        O::I16x8Shl => shift_by(t, I16X8, |i, x, y| i.ishl(x, y)),
        O::I16x8ShrS => shift_by(t, I16X8, |i, x, y| i.sshr(x, y)),
        O::I16x8ShrU => shift_by(t, I16X8, |i, x, y| i.ushr(x, y)),
        O::I32x4Shl => shift_by(t, I32X4, |i, x, y| i.ishl(x, y)),
        O::I32x4ShrS => shift_by(t, I32X4, |i, x, y| i.sshr(x, y)),
        O::I32x4ShrU => shift_by(t, I32X4, |i, x, y| i.ushr(x, y)),
        O::I64x2Shl => shift_by(t, I64X2, |i, x, y| i.ishl(x, y)),
        O::I64x2ShrS => shift_by(t, I64X2, |i, x, y| i.sshr(x, y)),
        O::I64x2ShrU => shift_by(t, I64X2, |i, x, y| i.ushr(x, y)),
        _ => return false,
    }
    true
}

fn test(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    match op {
        O::I8x16AllTrue => all_true(t, I8X16),
        O::I16x8AllTrue => all_true(t, I16X8),
        O::I32x4AllTrue => all_true(t, I32X4),
        O::I64x2AllTrue => all_true(t, I64X2),
        O::I8x16Bitmask => bitmask(t, I8X16),
        O::I16x8Bitmask => bitmask(t, I16X8),
        O::I32x4Bitmask => bitmask(t, I32X4),
        O::I64x2Bitmask => bitmask(t, I64X2),
        _ => return false,
    }
    true
}

fn resize(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    match op {
        O::I8x16NarrowI16x8S => binary(t, I16X8, |i, x, y| i.snarrow(x, y)),
        O::I8x16NarrowI16x8U => binary(t, I16X8, |i, x, y| i.unarrow(x, y)),
        O::I16x8NarrowI32x4S => binary(t, I32X4, |i, x, y| i.snarrow(x, y)),
        O::I16x8NarrowI32x4U => binary(t, I32X4, |i, x, y| i.unarrow(x, y)),

        O::I16x8ExtendLowI8x16S => unary(t, I8X16, |i, x| i.swiden_low(x)),
        O::I16x8ExtendHighI8x16S => unary(t, I8X16, |i, x| i.swiden_high(x)),
        O::I16x8ExtendLowI8x16U => unary(t, I8X16, |i, x| i.uwiden_low(x)),
        O::I16x8ExtendHighI8x16U => unary(t, I8X16, |i, x| i.uwiden_high(x)),
        O::I32x4ExtendLowI16x8S => unary(t, I16X8, |i, x| i.swiden_low(x)),
        O::I32x4ExtendHighI16x8S => unary(t, I16X8, |i, x| i.swiden_high(x)),
        O::I32x4ExtendLowI16x8U => unary(t, I16X8, |i, x| i.uwiden_low(x)),
        O::I32x4ExtendHighI16x8U => unary(t, I16X8, |i, x| i.uwiden_high(x)),
        O::I64x2ExtendLowI32x4S => unary(t, I32X4, |i, x| i.swiden_low(x)),
        O::I64x2ExtendHighI32x4S => unary(t, I32X4, |i, x| i.swiden_high(x)),
        O::I64x2ExtendLowI32x4U => unary(t, I32X4, |i, x| i.uwiden_low(x)),
        O::I64x2ExtendHighI32x4U => unary(t, I32X4, |i, x| i.uwiden_high(x)),

        O::I16x8ExtMulLowI8x16S => multiply(t, I8X16, |i, x| i.swiden_low(x)),
        O::I16x8ExtMulHighI8x16S => multiply(t, I8X16, |i, x| i.swiden_high(x)),
        O::I16x8ExtMulLowI8x16U => multiply(t, I8X16, |i, x| i.uwiden_low(x)),
        O::I16x8ExtMulHighI8x16U => multiply(t, I8X16, |i, x| i.uwiden_high(x)),
        O::I32x4ExtMulLowI16x8S => multiply(t, I16X8, |i, x| i.swiden_low(x)),
        O::I32x4ExtMulHighI16x8S => multiply(t, I16X8, |i, x| i.swiden_high(x)),
        O::I32x4ExtMulLowI16x8U => multiply(t, I16X8, |i, x| i.uwiden_low(x)),
        O::I32x4ExtMulHighI16x8U => multiply(t, I16X8, |i, x| i.uwiden_high(x)),
        O::I64x2ExtMulLowI32x4S => multiply(t, I32X4, |i, x| i.swiden_low(x)),
        O::I64x2ExtMulHighI32x4S => multiply(t, I32X4, |i, x| i.swiden_high(x)),
        O::I64x2ExtMulLowI32x4U => multiply(t, I32X4, |i, x| i.uwiden_low(x)),
        O::I64x2ExtMulHighI32x4U => multiply(t, I32X4, |i, x| i.uwiden_high(x)),

        O::I16x8ExtAddPairwiseI8x16S => {
            let operand = pop_as(t, I8X16);
            let sums = add_pairs_signed(&mut t.builder, operand);
            push(t, sums);
        }
        O::I32x4ExtAddPairwiseI16x8S => {
            let operand = pop_as(t, I16X8);
            let sums = add_pairs_signed(&mut t.builder, operand);
            push(t, sums);
        }
        O::I16x8ExtAddPairwiseI8x16U => add_pairs_unsigned(t, I8X16),
        O::I32x4ExtAddPairwiseI16x8U => add_pairs_unsigned(t, I16X8),

        O::I32x4DotI16x8S => {
            let (first, second) = pop2_as(t, I16X8);
            let sums = dot(&mut t.builder, first, second);
            push(t, sums);
        }

        _ => return false,
    }
    true
}

/// The amount is an `i32` above the vector; it counts modulo the width of a lane.
fn shift_by(
    t: &mut Translator<'_, '_>,
    ty: Type,
    operation: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value,
) {
    let amount = t.pop1();
    let vector = pop_as(t, ty);
    let result = operation(t.builder.ins(), vector, amount);
    push(t, result);
}

fn all_true(t: &mut Translator<'_, '_>, ty: Type) {
    let vector = pop_as(t, ty);
    let truth = t.builder.ins().vall_true(vector);
    push_truth(t, truth);
}

fn bitmask(t: &mut Translator<'_, '_>, ty: Type) {
    let vector = pop_as(t, ty);
    let bits = t.builder.ins().vhigh_bits(I32, vector);
    t.push1(bits);
}

/// Widens half of each operand and multiplies.
fn multiply(
    t: &mut Translator<'_, '_>,
    ty: Type,
    widen: impl Fn(FuncInstBuilder<'_, '_>, Value) -> Value,
) {
    let (first, second) = pop2_as(t, ty);
    let first = widen(t.builder.ins(), first);
    let second = widen(t.builder.ins(), second);
    let products = t.builder.ins().imul(first, second);
    push(t, products);
}

/// Sums of adjacent lanes, sign-extended to twice their width.
pub(super) fn add_pairs_signed(builder: &mut FunctionBuilder<'_>, operand: Value) -> Value {
    let low = builder.ins().swiden_low(operand);
    let high = builder.ins().swiden_high(operand);
    builder.ins().iadd_pairwise(low, high)
}

fn add_pairs_unsigned(t: &mut Translator<'_, '_>, ty: Type) {
    let operand = pop_as(t, ty);
    let low = t.builder.ins().uwiden_low(operand);
    let high = t.builder.ins().uwiden_high(operand);
    let sums = t.builder.ins().iadd_pairwise(low, high);
    push(t, sums);
}

/// Sums of adjacent products of signed lanes, in lanes of twice the width; they wrap.
pub(super) fn dot(builder: &mut FunctionBuilder<'_>, first: Value, second: Value) -> Value {
    let first_low = builder.ins().swiden_low(first);
    let second_low = builder.ins().swiden_low(second);
    let low = builder.ins().imul(first_low, second_low);
    let first_high = builder.ins().swiden_high(first);
    let second_high = builder.ins().swiden_high(second);
    let high = builder.ins().imul(first_high, second_high);
    builder.ins().iadd_pairwise(low, high)
}
