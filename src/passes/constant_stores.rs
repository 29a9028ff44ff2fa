//! Constants are stored as integers, from the instruction itself unless they are longer than 32
//! bits: selection would make narrow integers and floats in a register first.

use crate::codegen::known;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::immediates::Imm64;
use cranelift_codegen::ir::{self, Inst, InstBuilder, InstructionData, Opcode, Type, Value, types};

/// Makes the stores of constants stores of integer constants of the width in memory.
pub(super) fn store_immediates(func: &mut ir::Function) {
    let blocks: Vec<_> = func.layout.blocks().collect();
    for block in blocks {
        let mut next = func.layout.first_inst(block);
        while let Some(inst) = next {
            next = func.layout.next_inst(inst);
            if let Some((ty, bits)) = stored_constant(func, inst) {
                replace_value(func, inst, ty, bits);
            }
        }
    }
}

/// The integer that a store could store in the place of its value; none if it does already.
fn stored_constant(func: &ir::Function, inst: Inst) -> Option<(Type, i64)> {
    let InstructionData::Store { opcode, args, .. } = &func.dfg.insts[inst] else {
        return None;
    };
    let value = args[0];
    let ty = match opcode {
        Opcode::Istore8 => types::I8,
        Opcode::Istore16 => types::I16,
        Opcode::Istore32 => types::I32,
        _ => return float_bits(func, value),
    };
    Some((ty, known::signed(&func.dfg, value)?))
}

/// The bits of a float constant as an integer of its width.
fn float_bits(func: &ir::Function, value: Value) -> Option<(Type, i64)> {
    match func.dfg.insts[func.dfg.value_def(value).inst()?] {
        InstructionData::UnaryIeee32 { imm, .. } => {
            Some((types::I32, i64::from(imm.bits().cast_signed())))
        }
        InstructionData::UnaryIeee64 { imm, .. } => Some((types::I64, imm.bits().cast_signed())),
        _ => None,
    }
}

fn replace_value(func: &mut ir::Function, store: Inst, ty: Type, bits: i64) {
    let mask = u64::MAX >> (64 - ty.bits());
    let mut cursor = FuncCursor::new(func).at_inst(store);
    let imm = Imm64::new((bits.cast_unsigned() & mask).cast_signed());
    let value = cursor.ins().iconst(ty, imm);
    if let InstructionData::Store { opcode, args, .. } = &mut func.dfg.insts[store] {
        *opcode = Opcode::Store;
        args[0] = value;
    }
}
