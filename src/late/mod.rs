//! What Cranelift's optimiser leaves: passes over optimised CLIF, before instructions are selected.
//!
//! | module | pass |
//! | --- | --- |
//! | `byte_loops` | loops that compare byte by byte skip what is equal in steps of a vector |
//! | `counters` | the test of a loop's counter takes its next value |
//! | `constants` | constants are made where they are used |

mod byte_loops;
mod constants;
mod counters;

use cranelift_codegen::ir::{self, InstructionData, Opcode, Value};

/// Runs the passes over an optimised function.
pub fn improve(func: &mut ir::Function) {
    byte_loops::skip_equal_bytes(func);
    counters::test_next_values(func);
    constants::rematerialize(func);
}

/// The value of an integer constant, sign-extended from its type.
fn constant(func: &ir::Function, value: Value) -> Option<i64> {
    let inst = func.dfg.value_def(value).inst()?;
    match func.dfg.insts[inst] {
        InstructionData::UnaryImm {
            opcode: Opcode::Iconst,
            imm,
        } => {
            let unused = 64 - func.dfg.value_type(value).bits();
            Some((imm.bits() << unused) >> unused)
        }
        _ => None,
    }
}

/// A value that is another one plus a constant.
fn plus_constant(func: &ir::Function, value: Value) -> Option<(Value, i64)> {
    let inst = func.dfg.value_def(value).inst()?;
    let InstructionData::Binary { opcode, args } = func.dfg.insts[inst] else {
        return None;
    };
    match (opcode, args.map(|arg| constant(func, arg))) {
        (Opcode::Iadd, [None, Some(constant)]) => Some((args[0], constant)),
        (Opcode::Iadd, [Some(constant), None]) => Some((args[1], constant)),
        (Opcode::Isub, [None, Some(constant)]) => Some((args[0], constant.wrapping_neg())),
        _ => None,
    }
}
