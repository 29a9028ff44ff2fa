//! Vector operators: everything that works on `v128`.
//!
//! On the operand stack, in locals and in signatures a `v128` is an `i8x16`. An operator casts its
//! operands to the lanes that it works on and its result back; casts between vectors are no machine
//! code. Instruction selection does not look through casts, though, so [`cast`] does: a value that
//! was cast to `i8x16` only to be cast again is used as what it was. That is how comparisons reach
//! `bitselect` and `any_true`, for which there are better instructions than for arbitrary masks.
//!
//! | file | subject |
//! | --- | --- |
//! | `integer`, `float` | arithmetic and comparisons by lane |
//! | `lanes`, `memory` | splat, extract, replace, shuffle; loads and stores |
//! | `relaxed` | the relaxed operators, made deterministic |

mod float;
mod integer;
mod lanes;
mod memory;
mod relaxed;

use super::Translator;
use anyhow::Result;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::I8X16;
use cranelift_codegen::ir::{
    Endianness, InstBuilder, InstructionData, MemFlagsData, Opcode, Type, Value, ValueDef,
};
use cranelift_frontend::{FuncInstBuilder, FunctionBuilder};
use wasmparser::Operator;

/// Translates `op` if it is of this family; says whether it was.
pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> Result<bool> {
    Ok(memory::translate(t, op)
        || lanes::translate(t, op)
        || integer::translate(t, op)
        || float::translate(t, op)
        || relaxed::translate(t, op))
}

/// What a vector had been before it was cast to what it is.
fn before_cast(builder: &FunctionBuilder<'_>, value: Value) -> Value {
    let dfg = &builder.func.dfg;
    let ValueDef::Result(inst, _) = dfg.value_def(value) else {
        return value;
    };
    match dfg.insts[inst] {
        InstructionData::LoadNoOffset {
            opcode: Opcode::Bitcast,
            arg,
            ..
        } if dfg.value_type(arg).is_vector() => arg,
        _ => value,
    }
}

/// The same 128 bits as lanes of `ty`.
fn cast(builder: &mut FunctionBuilder<'_>, value: Value, ty: Type) -> Value {
    if builder.func.dfg.value_type(value) == ty {
        return value;
    }
    let source = before_cast(builder, value);
    if builder.func.dfg.value_type(source) == ty {
        return source;
    }
    // Lane 0 is at the lowest address, whatever the lanes.
    let flags = MemFlagsData::new().with_endianness(Endianness::Little);
    builder.ins().bitcast(ty, flags, source)
}

fn pop_as(t: &mut Translator<'_, '_>, ty: Type) -> Value {
    let value = t.pop1();
    cast(&mut t.builder, value, ty)
}

/// Pops two vectors; the topmost is the second.
fn pop2_as(t: &mut Translator<'_, '_>, ty: Type) -> (Value, Value) {
    let second = pop_as(t, ty);
    let first = pop_as(t, ty);
    (first, second)
}

fn push(t: &mut Translator<'_, '_>, vector: Value) {
    let value = cast(&mut t.builder, vector, I8X16);
    t.push1(value);
}

/// Applies `operation` to a vector of lanes `ty`.
fn unary(
    t: &mut Translator<'_, '_>,
    ty: Type,
    operation: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value,
) {
    let operand = pop_as(t, ty);
    let result = operation(t.builder.ins(), operand);
    push(t, result);
}

/// Applies `operation` to two vectors of lanes `ty`.
fn binary(
    t: &mut Translator<'_, '_>,
    ty: Type,
    operation: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value,
) {
    let (first, second) = pop2_as(t, ty);
    let result = operation(t.builder.ins(), first, second);
    push(t, result);
}

fn compare_integers(t: &mut Translator<'_, '_>, ty: Type, condition: IntCC) {
    binary(t, ty, |i, x, y| i.icmp(condition, x, y));
}

fn compare_floats(t: &mut Translator<'_, '_>, ty: Type, condition: FloatCC) {
    binary(t, ty, |i, x, y| i.fcmp(condition, x, y));
}

/// A vector whose bits are all zero.
fn zero(builder: &mut FunctionBuilder<'_>, ty: Type) -> Value {
    let bytes = builder.func.dfg.constants.insert([0; 16][..].into());
    builder.ins().vconst(ty, bytes)
}
