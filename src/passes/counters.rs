//! The test of a loop's counter takes its next value.
//!
//! Cranelift turns `i + 1 == n` into `i == n - 1`. At the end of a loop both `i` and `i + 1` are
//! then live: the counter needs two registers and a move between them, which is on the way back to
//! the loop's start and costs a jump too.

use super::plus_constant;
use crate::codegen::known;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, Block, InstBuilder, InstructionData, Opcode, Value};

/// Makes branches that compare `x` with a constant, and pass on `x + c` but not `x`, compare `x +
/// c`.
pub(super) fn test_next_values(func: &mut ir::Function) {
    let blocks: Vec<_> = func.layout.blocks().collect();
    for block in blocks {
        if let Some(test) = find(func, block) {
            let branch = func.layout.last_inst(block).expect("a branch");
            let mut cursor = FuncCursor::new(func).at_inst(branch);
            let ty = cursor.func.dfg.value_type(test.next);
            let unused = 64 - ty.bits();
            let constant = (test.constant << unused) >> unused;
            let constant = cursor.ins().iconst(ty, constant);
            let condition = cursor.ins().icmp(test.cc, test.next, constant);
            cursor.func.dfg.inst_args_mut(branch)[0] = condition;
        }
    }
}

/// A comparison of a counter's next value.
struct Test {
    cc: IntCC,
    next: Value,
    constant: i64,
}

fn find(func: &ir::Function, block: Block) -> Option<Test> {
    let dfg = &func.dfg;
    let branch = func.layout.last_inst(block)?;
    let InstructionData::Brif { arg, blocks, .. } = &dfg.insts[branch] else {
        return None;
    };
    let InstructionData::IntCompare {
        opcode: Opcode::Icmp,
        args: [counter, limit],
        cond: cc @ (IntCC::Equal | IntCC::NotEqual),
    } = dfg.insts[dfg.value_def(*arg).inst()?]
    else {
        return None;
    };
    let limit = known::signed(&func.dfg, limit)?;
    let passed = |block: &ir::BlockCall| {
        let args = block.args(&dfg.value_lists);
        args.filter_map(|arg| arg.as_value()).collect::<Vec<_>>()
    };
    let passed = blocks.iter().flat_map(passed);
    let (mut found, mut keeps_counter) = (None, false);
    for value in passed {
        keeps_counter |= value == counter;
        if let Some((base, step)) = plus_constant(func, value)
            && base == counter
        {
            found = Some((value, step));
        }
    }
    let (next, step) = found.filter(|_| !keeps_counter)?;
    Some(Test {
        cc,
        next,
        constant: limit.wrapping_add(step),
    })
}
