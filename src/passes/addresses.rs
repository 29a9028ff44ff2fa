//! Accesses near one that has succeeded share its index.
//!
//! `load (x + 16)` adds modulo 2^32, while an instruction's displacement adds to the whole address,
//! so the sum is an instruction of its own. But no memory is longer than [`MEMORY_GROWTH_LIMIT`],
//! 64 KiB less than 4 GiB (programs with a memory whose minimum is longer are left alone): where an
//! access at `x` has succeeded, `x` is smaller, and `x + 16` does not wrap around. So it is a
//! displacement. The same holds for `x + 24` and `x + 40`, and any `x`.
//!
//! Instruction selection may move a load down to its use, but not past a store; should the first
//! access be out of bounds, so is the second one with its displacement, and they cannot be told
//! apart.

use super::plus_constant;
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::ir::{self, ArgumentPurpose, Block, Inst, InstructionData, Value};
use rustc_hash::FxHashMap;
use trampette_artifact::layout::{MEMORY_GROWTH_LIMIT, MEMORY_GUARD, MEMORY_RESERVATION};
use trampette_artifact::trap::TrapCode;

/// How far from an access that has succeeded another one may be, in bytes.
const REACH: i64 = (MEMORY_RESERVATION - MEMORY_GROWTH_LIMIT) as i64;

/// Offset and width of an access that guard pages check are not more together than the guard.
const LAST_OFFSET: i64 = MEMORY_GUARD as i64 - 16;

/// How many accesses with one root are remembered.
const REMEMBERED: usize = 8;

/// An access that has succeeded where its block, and what that dominates, goes on.
struct Access {
    block: Block,
    /// What is added to the root, modulo 2^32.
    plus: i64,
    address: Value,
}

/// Gives accesses the addresses of earlier ones, where they differ by a constant. `domtree` is the
/// function's; no block may have been added since.
pub(super) fn share_indices(func: &mut ir::Function, domtree: &DominatorTree) {
    let context = func.special_param(ArgumentPurpose::VMContext);
    let Some(context) = context else { return };
    // By the index without what is added to it.
    let mut accesses: FxHashMap<Value, Vec<Access>> = FxHashMap::default();
    for block in domtree.cfg_rpo().copied() {
        let mut next = func.layout.first_inst(block);
        while let Some(inst) = next {
            next = func.layout.next_inst(inst);
            let Some((address, offset)) = checked_access(func, inst) else {
                continue;
            };
            let Some(index) = super::index_from(func, context, address) else {
                continue;
            };
            let (root, plus) = plus_constant(func, index).unwrap_or((index, 0));
            let earlier = accesses.entry(root).or_default();
            let reached = |access: &&Access| {
                let distance = plus - access.plus;
                (0..=REACH).contains(&distance)
                    && offset + distance <= LAST_OFFSET
                    && domtree.block_dominates(access.block, block)
            };
            match earlier.iter().filter(reached).max_by_key(|it| it.plus) {
                Some(access) if access.address != address => {
                    let offset = offset + plus - access.plus;
                    redirect(func, inst, access.address, offset as i32);
                }
                Some(_) => {}
                None if earlier.len() < REMEMBERED => earlier.push(Access {
                    block,
                    plus,
                    address,
                }),
                None => {}
            }
        }
    }
}

/// Address and offset of a load or store that traps if it is out of a memory's bounds.
fn checked_access(func: &ir::Function, inst: Inst) -> Option<(Value, i64)> {
    let (address, flags, offset) = match func.dfg.insts[inst] {
        InstructionData::Load {
            arg, flags, offset, ..
        } => (arg, flags, offset),
        InstructionData::Store {
            args,
            flags,
            offset,
            ..
        } => (args[1], flags, offset),
        _ => return None,
    };
    let trap = crate::codegen::clif_trap(TrapCode::MemoryOutOfBounds);
    let is_checked = func.dfg.mem_flags[flags].trap_code() == Some(trap);
    is_checked.then_some((address, offset.into()))
}

/// Lets a load or store access another address.
fn redirect(func: &mut ir::Function, inst: Inst, to: Value, by: i32) {
    match &mut func.dfg.insts[inst] {
        InstructionData::Load { arg, offset, .. } => (*arg, *offset) = (to, by.into()),
        InstructionData::Store { args, offset, .. } => (args[1], *offset) = (to, by.into()),
        _ => unreachable!("only loads and stores are looked at"),
    }
}
