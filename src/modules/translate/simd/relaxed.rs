//! Relaxed vector operators, as the specification's deterministic profile defines them: each
//! behaves like the plain operator of its name, whatever the machine can do. So a component
//! computes the same everywhere, and nothing needs the C library's fused multiply-add.

use super::super::Translator;
use super::{binary, cast, float, integer, lanes, pop_as, pop2_as, push};
use cranelift_codegen::ir::types::{F32X4, F64X2, I8X16, I16X8, I32X4};
use cranelift_codegen::ir::{InstBuilder, Type};
use wasmparser::Operator;

pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    match op {
        O::I8x16RelaxedSwizzle => binary(t, I8X16, |i, x, y| i.swizzle(x, y)),

        O::I32x4RelaxedTruncF32x4S => float::truncate_signed(t),
        O::I32x4RelaxedTruncF32x4U => float::truncate_unsigned(t),
        O::I32x4RelaxedTruncF64x2SZero => float::truncate_signed_zero(t),
        O::I32x4RelaxedTruncF64x2UZero => float::truncate_unsigned_zero(t),

        O::F32x4RelaxedMadd => multiply_add(t, F32X4),
        O::F64x2RelaxedMadd => multiply_add(t, F64X2),
        O::F32x4RelaxedNmadd => negated_multiply_add(t, F32X4),
        O::F64x2RelaxedNmadd => negated_multiply_add(t, F64X2),

        O::I8x16RelaxedLaneselect
        | O::I16x8RelaxedLaneselect
        | O::I32x4RelaxedLaneselect
        | O::I64x2RelaxedLaneselect => lanes::bitselect(t),

        O::F32x4RelaxedMin => binary(t, F32X4, |i, x, y| i.fmin(x, y)),
        O::F32x4RelaxedMax => binary(t, F32X4, |i, x, y| i.fmax(x, y)),
        O::F64x2RelaxedMin => binary(t, F64X2, |i, x, y| i.fmin(x, y)),
        O::F64x2RelaxedMax => binary(t, F64X2, |i, x, y| i.fmax(x, y)),

        O::I16x8RelaxedQ15mulrS => binary(t, I16X8, |i, x, y| i.sqmul_round_sat(x, y)),

        O::I16x8RelaxedDotI8x16I7x16S => {
            let (first, second) = pop2_as(t, I8X16);
            let sums = integer::dot(&mut t.builder, first, second);
            push(t, sums);
        }
        O::I32x4RelaxedDotI8x16I7x16AddS => {
            let addend = pop_as(t, I32X4);
            let (first, second) = pop2_as(t, I8X16);
            let sums = integer::dot(&mut t.builder, first, second);
            let sums = integer::add_pairs_signed(&mut t.builder, sums);
            let result = t.builder.ins().iadd(sums, addend);
            push(t, result);
        }

        _ => return false,
    }
    true
}

/// `first * second + third`, rounded twice.
fn multiply_add(t: &mut Translator<'_, '_>, ty: Type) {
    let (first, second, third) = t.pop3();
    let first = cast(&mut t.builder, first, ty);
    let second = cast(&mut t.builder, second, ty);
    let third = cast(&mut t.builder, third, ty);
    let product = t.builder.ins().fmul(first, second);
    let result = t.builder.ins().fadd(product, third);
    push(t, result);
}

/// `-first * second + third`, rounded twice.
fn negated_multiply_add(t: &mut Translator<'_, '_>, ty: Type) {
    let (first, second, third) = t.pop3();
    let first = cast(&mut t.builder, first, ty);
    let second = cast(&mut t.builder, second, ty);
    let third = cast(&mut t.builder, third, ty);
    let negated = t.builder.ins().fneg(first);
    let product = t.builder.ins().fmul(negated, second);
    let result = t.builder.ins().fadd(product, third);
    push(t, result);
}
