//! Scalar numeric operators: constants, comparisons, arithmetic, conversions.
//!
//! The CLIF types of the operands say which width is meant, so that an operator of `i32` and its
//! twin of `i64` share a line. What traps, traps by itself: division and conversion to integers
//! raise Cranelift's own codes, for which [`crate::codegen::trap_from_clif`] has ours. Shift and
//! rotation amounts are taken modulo the width and floating-point operators propagate NaNs as CLIF
//! defines them, which is what WebAssembly asks for.

use super::Translator;
use anyhow::Result;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::FuncInstBuilder;
use types::{F32, F64, I8, I16, I32, I64, I128};
use wasmparser::Operator;

/// Translates `op` if it is of this family; says whether it was.
pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> Result<bool> {
    Ok(constant(t, op)
        || comparison(t, op)
        || integer(t, op)
        || float(t, op)
        || conversion(t, op)
        || wide(t, op))
}

fn constant(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    let ins = t.builder.ins();
    let value = match op {
        // The immediate of a CLIF constant holds no bits above its type.
        Operator::I32Const { value } => ins.iconst(I32, i64::from(value.cast_unsigned())),
        Operator::I64Const { value } => ins.iconst(I64, *value),
        Operator::F32Const { value } => ins.f32const(Ieee32::with_bits(value.bits())),
        Operator::F64Const { value } => ins.f64const(Ieee64::with_bits(value.bits())),
        _ => return false,
    };
    t.push1(value);
    true
}

fn comparison(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    match op {
        O::I32Eqz | O::I64Eqz => equal_to_zero(t),

        O::I32Eq | O::I64Eq => compare_integers(t, IntCC::Equal),
        O::I32Ne | O::I64Ne => compare_integers(t, IntCC::NotEqual),
        O::I32LtS | O::I64LtS => compare_integers(t, IntCC::SignedLessThan),
        O::I32LtU | O::I64LtU => compare_integers(t, IntCC::UnsignedLessThan),
        O::I32GtS | O::I64GtS => compare_integers(t, IntCC::SignedGreaterThan),
        O::I32GtU | O::I64GtU => compare_integers(t, IntCC::UnsignedGreaterThan),
        O::I32LeS | O::I64LeS => compare_integers(t, IntCC::SignedLessThanOrEqual),
        O::I32LeU | O::I64LeU => compare_integers(t, IntCC::UnsignedLessThanOrEqual),
        O::I32GeS | O::I64GeS => compare_integers(t, IntCC::SignedGreaterThanOrEqual),
        O::I32GeU | O::I64GeU => compare_integers(t, IntCC::UnsignedGreaterThanOrEqual),

        O::F32Eq | O::F64Eq => compare_floats(t, FloatCC::Equal),
        O::F32Ne | O::F64Ne => compare_floats(t, FloatCC::NotEqual),
        O::F32Lt | O::F64Lt => compare_floats(t, FloatCC::LessThan),
        O::F32Gt | O::F64Gt => compare_floats(t, FloatCC::GreaterThan),
        O::F32Le | O::F64Le => compare_floats(t, FloatCC::LessThanOrEqual),
        O::F32Ge | O::F64Ge => compare_floats(t, FloatCC::GreaterThanOrEqual),

        _ => return false,
    }
    true
}

fn integer(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    match op {
        O::I32Clz | O::I64Clz => unary(t, |i, x| i.clz(x)),
        O::I32Ctz | O::I64Ctz => unary(t, |i, x| i.ctz(x)),
        O::I32Popcnt | O::I64Popcnt => unary(t, |i, x| i.popcnt(x)),

        O::I32Add | O::I64Add => binary(t, |i, x, y| i.iadd(x, y)),
        O::I32Sub | O::I64Sub => binary(t, |i, x, y| i.isub(x, y)),
        O::I32Mul | O::I64Mul => binary(t, |i, x, y| i.imul(x, y)),
        O::I32DivS | O::I64DivS => binary(t, |i, x, y| i.sdiv(x, y)),
        O::I32DivU | O::I64DivU => binary(t, |i, x, y| i.udiv(x, y)),
        O::I32RemS | O::I64RemS => binary(t, |i, x, y| i.srem(x, y)),
        O::I32RemU | O::I64RemU => binary(t, |i, x, y| i.urem(x, y)),
        O::I32And | O::I64And => binary(t, |i, x, y| i.band(x, y)),
        O::I32Or | O::I64Or => binary(t, |i, x, y| i.bor(x, y)),
        O::I32Xor | O::I64Xor => binary(t, |i, x, y| i.bxor(x, y)),
        O::I32Shl | O::I64Shl => binary(t, |i, x, y| i.ishl(x, y)),
        O::I32ShrS | O::I64ShrS => binary(t, |i, x, y| i.sshr(x, y)),
        O::I32ShrU | O::I64ShrU => binary(t, |i, x, y| i.ushr(x, y)),
        O::I32Rotl | O::I64Rotl => binary(t, |i, x, y| i.rotl(x, y)),
        O::I32Rotr | O::I64Rotr => binary(t, |i, x, y| i.rotr(x, y)),

        _ => return false,
    }
    true
}

fn float(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    match op {
        O::F32Abs | O::F64Abs => unary(t, |i, x| i.fabs(x)),
        O::F32Neg | O::F64Neg => unary(t, |i, x| i.fneg(x)),
        O::F32Ceil | O::F64Ceil => unary(t, |i, x| i.ceil(x)),
        O::F32Floor | O::F64Floor => unary(t, |i, x| i.floor(x)),
        O::F32Trunc | O::F64Trunc => unary(t, |i, x| i.trunc(x)),
        O::F32Nearest | O::F64Nearest => unary(t, |i, x| i.nearest(x)),
        O::F32Sqrt | O::F64Sqrt => unary(t, |i, x| i.sqrt(x)),

        O::F32Add | O::F64Add => binary(t, |i, x, y| i.fadd(x, y)),
        O::F32Sub | O::F64Sub => binary(t, |i, x, y| i.fsub(x, y)),
        O::F32Mul | O::F64Mul => binary(t, |i, x, y| i.fmul(x, y)),
        O::F32Div | O::F64Div => binary(t, |i, x, y| i.fdiv(x, y)),
        O::F32Min | O::F64Min => binary(t, |i, x, y| i.fmin(x, y)),
        O::F32Max | O::F64Max => binary(t, |i, x, y| i.fmax(x, y)),
        O::F32Copysign | O::F64Copysign => binary(t, |i, x, y| i.fcopysign(x, y)),

        _ => return false,
    }
    true
}

fn conversion(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    match op {
        O::I32WrapI64 => unary(t, |i, x| i.ireduce(I32, x)),
        O::I64ExtendI32S => unary(t, |i, x| i.sextend(I64, x)),
        O::I64ExtendI32U => unary(t, |i, x| i.uextend(I64, x)),
        O::I32Extend8S => sign_extend(t, I8, I32),
        O::I32Extend16S => sign_extend(t, I16, I32),
        O::I64Extend8S => sign_extend(t, I8, I64),
        O::I64Extend16S => sign_extend(t, I16, I64),
        O::I64Extend32S => sign_extend(t, I32, I64),

        O::I32TruncF32S | O::I32TruncF64S => unary(t, |i, x| i.fcvt_to_sint(I32, x)),
        O::I32TruncF32U | O::I32TruncF64U => unary(t, |i, x| i.fcvt_to_uint(I32, x)),
        O::I64TruncF32S | O::I64TruncF64S => unary(t, |i, x| i.fcvt_to_sint(I64, x)),
        O::I64TruncF32U | O::I64TruncF64U => unary(t, |i, x| i.fcvt_to_uint(I64, x)),
        O::I32TruncSatF32S | O::I32TruncSatF64S => unary(t, |i, x| i.fcvt_to_sint_sat(I32, x)),
        O::I32TruncSatF32U | O::I32TruncSatF64U => unary(t, |i, x| i.fcvt_to_uint_sat(I32, x)),
        O::I64TruncSatF32S | O::I64TruncSatF64S => unary(t, |i, x| i.fcvt_to_sint_sat(I64, x)),
        O::I64TruncSatF32U | O::I64TruncSatF64U => unary(t, |i, x| i.fcvt_to_uint_sat(I64, x)),

        O::F32ConvertI32S | O::F32ConvertI64S => unary(t, |i, x| i.fcvt_from_sint(F32, x)),
        O::F32ConvertI32U | O::F32ConvertI64U => unary(t, |i, x| i.fcvt_from_uint(F32, x)),
        O::F64ConvertI32S | O::F64ConvertI64S => unary(t, |i, x| i.fcvt_from_sint(F64, x)),
        O::F64ConvertI32U | O::F64ConvertI64U => unary(t, |i, x| i.fcvt_from_uint(F64, x)),
        O::F32DemoteF64 => unary(t, |i, x| i.fdemote(F32, x)),
        O::F64PromoteF32 => unary(t, |i, x| i.fpromote(F64, x)),

        O::I32ReinterpretF32 => reinterpret(t, I32),
        O::I64ReinterpretF64 => reinterpret(t, I64),
        O::F32ReinterpretI32 => reinterpret(t, F32),
        O::F64ReinterpretI64 => reinterpret(t, F64),

        _ => return false,
    }
    true
}

/// 128-bit integers on the operand stack are pairs of 64-bit halves, the low one below.
fn wide(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use Operator as O;
    let value = match op {
        O::I64Add128 | O::I64Sub128 => {
            let second = pop_wide(t);
            let first = pop_wide(t);
            match op {
                O::I64Add128 => t.builder.ins().iadd(first, second),
                _ => t.builder.ins().isub(first, second),
            }
        }
        O::I64MulWideS => {
            let (first, second) = t.pop2();
            let first = t.builder.ins().sextend(I128, first);
            let second = t.builder.ins().sextend(I128, second);
            t.builder.ins().imul(first, second)
        }
        O::I64MulWideU => {
            let (first, second) = t.pop2();
            let first = t.builder.ins().uextend(I128, first);
            let second = t.builder.ins().uextend(I128, second);
            t.builder.ins().imul(first, second)
        }
        _ => return false,
    };
    let (low, high) = t.builder.ins().isplit(value);
    t.push1(low);
    t.push1(high);
    true
}

fn pop_wide(t: &mut Translator<'_, '_>) -> Value {
    let (low, high) = t.pop2();
    t.builder.ins().iconcat(low, high)
}

fn unary(
    t: &mut Translator<'_, '_>,
    operation: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value,
) {
    let operand = t.pop1();
    let result = operation(t.builder.ins(), operand);
    t.push1(result);
}

fn binary(
    t: &mut Translator<'_, '_>,
    operation: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value,
) {
    let (first, second) = t.pop2();
    let result = operation(t.builder.ins(), first, second);
    t.push1(result);
}

/// Pushes a CLIF truth value, which has 8 bits, as an `i32`.
pub(super) fn push_truth(t: &mut Translator<'_, '_>, truth: Value) {
    let result = t.builder.ins().uextend(I32, truth);
    t.push1(result);
}

fn equal_to_zero(t: &mut Translator<'_, '_>) {
    let operand = t.pop1();
    let truth = t.builder.ins().icmp_imm_u(IntCC::Equal, operand, 0);
    push_truth(t, truth);
}

fn compare_integers(t: &mut Translator<'_, '_>, condition: IntCC) {
    let (first, second) = t.pop2();
    let truth = t.builder.ins().icmp(condition, first, second);
    push_truth(t, truth);
}

fn compare_floats(t: &mut Translator<'_, '_>, condition: FloatCC) {
    let (first, second) = t.pop2();
    let truth = t.builder.ins().fcmp(condition, first, second);
    push_truth(t, truth);
}

/// Sign-extends the low bits of a value, as many as `from` has.
fn sign_extend(t: &mut Translator<'_, '_>, from: Type, to: Type) {
    let operand = t.pop1();
    let low = t.builder.ins().ireduce(from, operand);
    let result = t.builder.ins().sextend(to, low);
    t.push1(result);
}

fn reinterpret(t: &mut Translator<'_, '_>, to: Type) {
    unary(t, |i, x| i.bitcast(to, MemFlagsData::new(), x));
}

#[cfg(test)]
mod tests;
