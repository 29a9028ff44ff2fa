//! Floating-point lanes: comparisons, arithmetic, conversions.

use super::super::Translator;
use super::{binary, cast, compare_floats, pop_as, pop2_as, push, unary, zero};
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::types::{F32X4, F64X2, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use wasmparser::Operator;

pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    comparison(t, op) || arithmetic(t, op) || conversion(t, op)
}

fn comparison(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    match op {
        O::F32x4Eq => compare_floats(t, F32X4, FloatCC::Equal),
        O::F32x4Ne => compare_floats(t, F32X4, FloatCC::NotEqual),
        O::F32x4Lt => compare_floats(t, F32X4, FloatCC::LessThan),
        O::F32x4Gt => compare_floats(t, F32X4, FloatCC::GreaterThan),
        O::F32x4Le => compare_floats(t, F32X4, FloatCC::LessThanOrEqual),
        O::F32x4Ge => compare_floats(t, F32X4, FloatCC::GreaterThanOrEqual),

        O::F64x2Eq => compare_floats(t, F64X2, FloatCC::Equal),
        O::F64x2Ne => compare_floats(t, F64X2, FloatCC::NotEqual),
        O::F64x2Lt => compare_floats(t, F64X2, FloatCC::LessThan),
        O::F64x2Gt => compare_floats(t, F64X2, FloatCC::GreaterThan),
        O::F64x2Le => compare_floats(t, F64X2, FloatCC::LessThanOrEqual),
        O::F64x2Ge => compare_floats(t, F64X2, FloatCC::GreaterThanOrEqual),

        _ => return false,
    }
    true
}

fn arithmetic(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    match op {
        O::F32x4Ceil => unary(t, F32X4, |i, x| i.ceil(x)),
        O::F32x4Floor => unary(t, F32X4, |i, x| i.floor(x)),
        O::F32x4Trunc => unary(t, F32X4, |i, x| i.trunc(x)),
        O::F32x4Nearest => unary(t, F32X4, |i, x| i.nearest(x)),
        O::F32x4Abs => unary(t, F32X4, |i, x| i.fabs(x)),
        O::F32x4Neg => unary(t, F32X4, |i, x| i.fneg(x)),
        O::F32x4Sqrt => unary(t, F32X4, |i, x| i.sqrt(x)),
        O::F32x4Add => binary(t, F32X4, |i, x, y| i.fadd(x, y)),
        O::F32x4Sub => binary(t, F32X4, |i, x, y| i.fsub(x, y)),
        O::F32x4Mul => binary(t, F32X4, |i, x, y| i.fmul(x, y)),
        O::F32x4Div => binary(t, F32X4, |i, x, y| i.fdiv(x, y)),
        O::F32x4Min => binary(t, F32X4, |i, x, y| i.fmin(x, y)),
        O::F32x4Max => binary(t, F32X4, |i, x, y| i.fmax(x, y)),
        O::F32x4PMin => pseudo_minimum(t, F32X4),
        O::F32x4PMax => pseudo_maximum(t, F32X4),

        O::F64x2Ceil => unary(t, F64X2, |i, x| i.ceil(x)),
        O::F64x2Floor => unary(t, F64X2, |i, x| i.floor(x)),
        O::F64x2Trunc => unary(t, F64X2, |i, x| i.trunc(x)),
        O::F64x2Nearest => unary(t, F64X2, |i, x| i.nearest(x)),
        O::F64x2Abs => unary(t, F64X2, |i, x| i.fabs(x)),
        O::F64x2Neg => unary(t, F64X2, |i, x| i.fneg(x)),
        O::F64x2Sqrt => unary(t, F64X2, |i, x| i.sqrt(x)),
        O::F64x2Add => binary(t, F64X2, |i, x, y| i.fadd(x, y)),
        O::F64x2Sub => binary(t, F64X2, |i, x, y| i.fsub(x, y)),
        O::F64x2Mul => binary(t, F64X2, |i, x, y| i.fmul(x, y)),
        O::F64x2Div => binary(t, F64X2, |i, x, y| i.fdiv(x, y)),
        O::F64x2Min => binary(t, F64X2, |i, x, y| i.fmin(x, y)),
        O::F64x2Max => binary(t, F64X2, |i, x, y| i.fmax(x, y)),
        O::F64x2PMin => pseudo_minimum(t, F64X2),
        O::F64x2PMax => pseudo_maximum(t, F64X2),

        _ => return false,
    }
    true
}

fn conversion(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    match op {
        O::I32x4TruncSatF32x4S => truncate_signed(t),
        O::I32x4TruncSatF32x4U => truncate_unsigned(t),
        O::I32x4TruncSatF64x2SZero => truncate_signed_zero(t),
        O::I32x4TruncSatF64x2UZero => truncate_unsigned_zero(t),

        O::F32x4ConvertI32x4S => unary(t, I32X4, |i, x| i.fcvt_from_sint(F32X4, x)),
        O::F32x4ConvertI32x4U => unary(t, I32X4, |i, x| i.fcvt_from_uint(F32X4, x)),
        O::F64x2ConvertLowI32x4S => {
            let operand = pop_as(t, I32X4);
            let wide = t.builder.ins().swiden_low(operand);
            let result = t.builder.ins().fcvt_from_sint(F64X2, wide);
            push(t, result);
        }
        O::F64x2ConvertLowI32x4U => {
            let operand = pop_as(t, I32X4);
            let wide = t.builder.ins().uwiden_low(operand);
            let result = t.builder.ins().fcvt_from_uint(F64X2, wide);
            push(t, result);
        }
        O::F32x4DemoteF64x2Zero => unary(t, F64X2, |i, x| i.fvdemote(x)),
        O::F64x2PromoteLowF32x4 => unary(t, F32X4, |i, x| i.fvpromote_low(x)),

        _ => return false,
    }
    true
}

/// `second < first ? second : first`, lane by lane; one instruction on x86.
fn pseudo_minimum(t: &mut Translator<'_, '_>, ty: Type) {
    let (first, second) = pop2_as(t, ty);
    let less = t.builder.ins().fcmp(FloatCC::LessThan, second, first);
    select_lanes(t, less, second, first);
}

/// `first < second ? second : first`, lane by lane; one instruction on x86.
fn pseudo_maximum(t: &mut Translator<'_, '_>, ty: Type) {
    let (first, second) = pop2_as(t, ty);
    let less = t.builder.ins().fcmp(FloatCC::LessThan, first, second);
    select_lanes(t, less, second, first);
}

fn select_lanes(t: &mut Translator<'_, '_>, mask: Value, yes: Value, no: Value) {
    let ty = t.builder.func.dfg.value_type(yes);
    let mask = cast(&mut t.builder, mask, ty);
    let result = t.builder.ins().bitselect(mask, yes, no);
    push(t, result);
}

pub(super) fn truncate_signed(t: &mut Translator<'_, '_>) {
    unary(t, F32X4, |i, x| i.fcvt_to_sint_sat(I32X4, x));
}

pub(super) fn truncate_unsigned(t: &mut Translator<'_, '_>) {
    unary(t, F32X4, |i, x| i.fcvt_to_uint_sat(I32X4, x));
}

/// The backend knows these conversions to 64 bits only together with the narrowing to 32.
pub(super) fn truncate_signed_zero(t: &mut Translator<'_, '_>) {
    let operand = pop_as(t, F64X2);
    let wide = t.builder.ins().fcvt_to_sint_sat(I64X2, operand);
    let zero = zero(&mut t.builder, I64X2);
    let result = t.builder.ins().snarrow(wide, zero);
    push(t, result);
}

/// See [`truncate_signed_zero`].
pub(super) fn truncate_unsigned_zero(t: &mut Translator<'_, '_>) {
    let operand = pop_as(t, F64X2);
    let wide = t.builder.ins().fcvt_to_uint_sat(I64X2, operand);
    let zero = zero(&mut t.builder, I64X2);
    let result = t.builder.ins().uunarrow(wide, zero);
    push(t, result);
}
