//! Constants that are stored next to each other are one store: the fields of a record, a variant's
//! case and its payload.
//!
//! Only stores that cannot trap: of two that could, the first one may be seen after a trap of the
//! second.

use crate::codegen::known;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::immediates::Imm64;
use cranelift_codegen::ir::{
    self, AliasRegion, Endianness, Inst, InstBuilder, InstructionData, MemFlagsData, Opcode, Type,
    Value,
};

/// Parts of a run: each new one is compared with all.
const MOST_PARTS: usize = 64;

/// A store of an integer constant, or several that have become one.
#[derive(Clone, Copy)]
struct Part {
    /// The last instruction of those.
    last: Inst,
    /// When it comes, among the parts of a run.
    order: usize,
    offset: i64,
    bytes: u32,
    /// Little-endian; high bits are zero.
    bits: u64,
}

/// Stores to places near one base, with nothing between them that looks at memory.
struct Run {
    base: Value,
    region: Option<AliasRegion>,
    parts: Vec<Part>,
}

/// Merges the stores of constants in a function.
pub(super) fn merge_stores(func: &mut ir::Function) {
    let blocks: Vec<_> = func.layout.blocks().collect();
    for block in blocks {
        let mut run: Option<Run> = None;
        let mut next = func.layout.first_inst(block);
        while let Some(inst) = next {
            next = func.layout.next_inst(inst);
            if let Some((base, region, part)) = constant_store(func, inst) {
                let joins = |run: &Run| {
                    let apart = |other: &Part| {
                        part.offset + i64::from(part.bytes) <= other.offset
                            || other.offset + i64::from(other.bytes) <= part.offset
                    };
                    run.base == base
                        && run.region == region
                        && run.parts.len() < MOST_PARTS
                        && run.parts.iter().all(apart)
                };
                match run.as_mut().filter(|run| joins(run)) {
                    Some(run) => run.parts.push(Part {
                        order: run.parts.len(),
                        ..part
                    }),
                    None => {
                        let begun = Run {
                            base,
                            region,
                            parts: vec![part],
                        };
                        finish(func, run.replace(begun));
                    }
                }
            } else if looks_at_memory(func.dfg.insts[inst].opcode()) {
                finish(func, run.take());
            }
        }
        finish(func, run);
    }
}

fn looks_at_memory(opcode: Opcode) -> bool {
    opcode.can_load()
        || opcode.can_store()
        || opcode.can_trap()
        || opcode.is_call()
        || opcode.is_terminator()
        || opcode.other_side_effects()
}

fn constant_store(func: &ir::Function, inst: Inst) -> Option<(Value, Option<AliasRegion>, Part)> {
    let InstructionData::Store {
        opcode: Opcode::Store,
        args: [value, base],
        flags,
        offset,
    } = func.dfg.insts[inst]
    else {
        return None;
    };
    let flags = func.dfg.mem_flags[flags];
    let ty = func.dfg.value_type(value);
    let little = flags.endianness(Endianness::Little) == Endianness::Little;
    if !flags.notrap() || !little || !ty.is_int() || ty.bits() > 64 {
        return None;
    }
    let part = Part {
        last: inst,
        order: 0,
        offset: i64::from(offset),
        bytes: ty.bytes(),
        bits: known::signed(&func.dfg, value)?.cast_unsigned() & (u64::MAX >> (64 - ty.bits())),
    };
    Some((base, flags.alias_region(), part))
}

/// Merges the parts of a run: pairs of one size, as long as there are any.
fn finish(func: &mut ir::Function, run: Option<Run>) {
    let Some(mut run) = run.filter(|run| run.parts.len() > 1) else {
        return;
    };
    let before: Vec<Inst> = run.parts.iter().map(|part| part.last).collect();
    run.parts.sort_by_key(|part| part.offset);
    let mut merged: Vec<Part> = Vec::with_capacity(run.parts.len());
    for part in run.parts {
        merged.push(part);
        while let [.., low, high] = merged[..]
            && low.bytes == high.bytes
            && low.bytes < 8
            && low.offset + i64::from(low.bytes) == high.offset
        {
            let later = if low.order > high.order { low } else { high };
            merged.truncate(merged.len() - 2);
            merged.push(Part {
                offset: low.offset,
                bytes: low.bytes * 2,
                bits: low.bits | high.bits << (low.bytes * 8),
                ..later
            });
        }
    }
    if merged.len() == before.len() {
        return;
    }
    for part in &merged {
        let location = func.srcloc(part.last);
        let mut cursor = FuncCursor::new(func)
            .at_inst(part.last)
            .with_srcloc(location);
        let ty = Type::int(part.bytes as u16 * 8).expect("a power of two");
        let imm = Imm64::new(part.bits.cast_signed());
        let value = cursor.ins().iconst(ty, imm);
        let flags = MemFlagsData::new()
            .with_endianness(Endianness::Little)
            .with_notrap()
            .with_alias_region(run.region);
        cursor
            .ins()
            .store(flags, value, run.base, part.offset as i32);
    }
    for inst in before {
        func.layout.remove_inst(inst);
    }
}
