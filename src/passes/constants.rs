//! Constants are made where they are used: a register that holds one over a whole loop or a call is
//! worth more than the instruction that makes it, and to load it from the stack again is as much
//! work. (Integers that need an instruction of ten bytes stay where they are.)

use cranelift_codegen::ir::{self, Inst, InstructionData, Opcode, Value};
use rustc_hash::FxHashMap;

/// Gives each block its own copies of the constants that it uses.
pub(super) fn rematerialize(func: &mut ir::Function) {
    let mut copies: FxHashMap<Value, Value> = FxHashMap::default();
    let mut replaced = Vec::new();
    let blocks: Vec<_> = func.layout.blocks().collect();
    for block in blocks {
        copies.clear();
        let mut next = func.layout.first_inst(block);
        while let Some(inst) = next {
            next = func.layout.next_inst(inst);
            replaced.clear();
            for value in func.dfg.inst_values(inst) {
                if let Some(made) = made_elsewhere(func, block, value) {
                    replaced.push((value, made));
                }
            }
            if replaced.is_empty() {
                continue;
            }
            for (value, made) in replaced.drain(..) {
                copies.entry(value).or_insert_with(|| {
                    let copy = func.dfg.clone_inst(made);
                    func.layout.insert_inst(copy, inst);
                    func.dfg.first_result(copy)
                });
            }
            let copy = |value| copies.get(&value).copied().unwrap_or(value);
            func.dfg.map_inst_values(inst, copy);
        }
    }
}

/// The instruction that makes a constant, if it is in another block.
fn made_elsewhere(func: &ir::Function, block: ir::Block, value: Value) -> Option<Inst> {
    let inst = func.dfg.value_def(value).inst()?;
    let is_constant = match func.dfg.insts[inst] {
        InstructionData::UnaryImm { imm, .. } => {
            let bits = imm.bits();
            u32::try_from(bits).is_ok() || i32::try_from(bits).is_ok()
        }
        InstructionData::UnaryIeee32 { .. } | InstructionData::UnaryIeee64 { .. } => true,
        InstructionData::UnaryGlobalValue { opcode, .. } => opcode == Opcode::SymbolValue,
        _ => false,
    };
    (is_constant && func.layout.inst_block(inst) != Some(block)).then_some(inst)
}
