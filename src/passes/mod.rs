//! Passes of ours from CLIF to CLIF. [`before`] and [`after`] Cranelift's optimiser list them in
//! order.
//!
//! | module | pass |
//! | --- | --- |
//! | `forward` | loads of what was just stored |
//! | `addresses` | accesses near one that has succeeded share its index |
//! | `byte_loops` | loops that compare byte by byte skip what is equal in steps of a vector |
//! | `counters` | the test of a loop's counter takes its next value |
//! | `constant_stores` | constants are stored by the instruction that has them |
//! | `neighbours` | constants that are stored next to each other are one store |
//! | `constants` | constants are made where they are used |

mod addresses;
pub(crate) mod after;
pub(crate) mod before;
mod byte_loops;
mod constant_stores;
mod constants;
mod counters;
mod forward;
mod neighbours;

use crate::codegen::known;
use cranelift_codegen::ir::{self, InstructionData, Opcode, Value};

/// A value that is another one plus a constant.
fn plus_constant(func: &ir::Function, value: Value) -> Option<(Value, i64)> {
    let inst = func.dfg.value_def(value).inst()?;
    let InstructionData::Binary { opcode, args } = func.dfg.insts[inst] else {
        return None;
    };
    match (opcode, args.map(|arg| known::signed(&func.dfg, arg))) {
        (Opcode::Iadd, [None, Some(constant)]) => Some((args[0], constant)),
        (Opcode::Iadd, [Some(constant), None]) => Some((args[1], constant)),
        (Opcode::Isub, [None, Some(constant)]) => Some((args[0], constant.wrapping_neg())),
        _ => None,
    }
}

/// The `i32` that an address is, beyond the context.
fn index_from(func: &ir::Function, context: Value, address: Value) -> Option<Value> {
    let inst = func.dfg.value_def(address).inst()?;
    let InstructionData::Binary {
        opcode: Opcode::Iadd,
        args,
    } = func.dfg.insts[inst]
    else {
        return None;
    };
    let index = match args {
        [base, index] if base == context => index,
        [index, base] if base == context => index,
        _ => return None,
    };
    match func.dfg.insts[func.dfg.value_def(index).inst()?] {
        InstructionData::Unary {
            opcode: Opcode::Uextend,
            arg,
        } if func.dfg.value_type(arg) == ir::types::I32 => Some(arg),
        _ => None,
    }
}
