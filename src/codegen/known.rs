//! Whether a value is a constant, for whoever decides by it: accesses and tables of core functions,
//! copies, and the passes over CLIF. Aliases are looked through, by [`DataFlowGraph::value_def`].

use cranelift_codegen::ir::{DataFlowGraph, InstructionData, Opcode, Value};

/// The value of an integer constant, zero-extended from its type.
pub(crate) fn unsigned(dfg: &DataFlowGraph, value: Value) -> Option<u64> {
    let (bits, unused) = constant(dfg, value)?;
    Some((bits.cast_unsigned() << unused) >> unused)
}

/// The value of an integer constant, sign-extended from its type.
pub(crate) fn signed(dfg: &DataFlowGraph, value: Value) -> Option<i64> {
    let (bits, unused) = constant(dfg, value)?;
    Some((bits << unused) >> unused)
}

/// [`unsigned`], also of what is extended from a constant.
pub(crate) fn extended(dfg: &DataFlowGraph, value: Value) -> Option<u64> {
    let inst = dfg.value_def(value).inst()?;
    match dfg.insts[inst] {
        InstructionData::Unary {
            opcode: Opcode::Uextend,
            arg,
        } => extended(dfg, arg),
        _ => unsigned(dfg, value),
    }
}

/// The immediate of a constant, and how many of its highest bits its type does not have.
fn constant(dfg: &DataFlowGraph, value: Value) -> Option<(i64, u32)> {
    match dfg.insts[dfg.value_def(value).inst()?] {
        InstructionData::UnaryImm {
            opcode: Opcode::Iconst,
            imm,
        } => Some((imm.bits(), 64 - dfg.value_type(value).bits())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cranelift_codegen::cursor::{Cursor, FuncCursor};
    use cranelift_codegen::ir::{Function, InstBuilder, types};

    #[test]
    fn constants_are_known_by_their_type_and_through_aliases() {
        let mut func = Function::new();
        let block = func.dfg.make_block();
        func.layout.append_block(block);
        let mut cursor = FuncCursor::new(&mut func).at_bottom(block);
        let minus_one = cursor.ins().iconst(types::I32, 0xffff_ffff);
        let wide = cursor.ins().uextend(types::I64, minus_one);
        let sum = cursor.ins().iadd(minus_one, minus_one);
        let alias = cursor.ins().iconst(types::I32, 5);
        let replaced = func.dfg.value_def(alias).unwrap_inst();
        func.dfg.clear_results(replaced);
        func.dfg.change_to_alias(alias, minus_one);
        let dfg = &func.dfg;
        for value in [minus_one, alias] {
            assert_eq!(unsigned(dfg, value), Some(0xffff_ffff));
            assert_eq!(signed(dfg, value), Some(-1));
            assert_eq!(extended(dfg, value), Some(0xffff_ffff));
        }
        assert_eq!(unsigned(dfg, wide), None);
        assert_eq!(extended(dfg, wide), Some(0xffff_ffff));
        assert_eq!((unsigned(dfg, sum), extended(dfg, sum)), (None, None));
    }
}
