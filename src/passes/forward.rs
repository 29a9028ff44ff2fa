//! Loads of what the same function has just stored: the stored value takes their place.
//!
//! Inlining brings stores and loads together. The results of one component's function are the
//! parameters of what the adapter does with them, by way of memory; discriminants among them are
//! often constants. Cranelift forwards only between addresses that are one value, and only what was
//! stored last. Here an address is a value and a constant distance from it, what several stores
//! wrote is known, and branches on constants are decided on the way, since nothing is known after
//! two ways meet.
//!
//! One walk in reverse post-order: what is known at the start of a block is what is known at the
//! end of the only block before it, or nothing.

use crate::codegen::known;
use anyhow::{Context as _, Result};
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, AliasRegion, Block, BlockArg, Inst, InstBuilder, InstructionData, MemFlagsData, Opcode,
    ReplaceBuilder, Type, Value,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::traversals::Dfs;
use rustc_hash::FxHashMap;

/// Stores that are remembered; the oldest go first.
const MOST: usize = 48;
/// Blocks of a function that is looked at: each may remember as many stores as the one before it.
const MOST_BLOCKS: usize = 2_000;
/// Steps that a value is followed back.
const DEPTH: u32 = 12;

/// Replaces loads by what was stored, and removes blocks that turn out not to be reached.
///
/// # Errors
/// If Cranelift gives up.
pub(crate) fn forward_stores(func: &mut ir::Function, isa: &dyn TargetIsa) -> Result<()> {
    if func.dfg.num_blocks() > MOST_BLOCKS || !walk(func) {
        return Ok(());
    }
    let mut context = cranelift_codegen::Context::new();
    std::mem::swap(&mut context.func, func);
    context.compute_cfg();
    context.compute_domtree();
    let result = context.eliminate_unreachable_code(isa);
    std::mem::swap(&mut context.func, func);
    result.context("cannot remove what is not reached")
}

/// Replaces loads; returns whether branches were decided.
fn walk(func: &mut ir::Function) -> bool {
    let Some(entry) = func.layout.entry_block() else {
        return false;
    };
    let cfg = ControlFlowGraph::with_function(func);
    let mut order: Vec<Block> = Dfs::new().post_order_iter(func).collect();
    order.reverse();
    let mut walk = Walk {
        func,
        arguments: FxHashMap::default(),
        decided: false,
    };
    let mut ends: SecondaryMap<Block, End> = SecondaryMap::new();
    for block in order {
        let start = match block == entry {
            true => Some(Vec::new()),
            false => walk.start(block, &cfg, &ends),
        };
        ends[block] = match start {
            Some(known) => End::Knows(walk.block(block, known)),
            None => End::Unreachable,
        };
    }
    walk.decided
}

/// What is known at the end of a block.
#[derive(Clone, Default)]
enum End {
    /// The walk has not been there.
    #[default]
    NotYet,
    /// Control does not get there.
    Unreachable,
    /// These stores were the last to their places.
    Knows(Vec<Stored>),
}

/// A constant distance from a value, or from zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    base: Option<Value>,
    offset: i64,
}

/// What is in memory.
#[derive(Clone, Copy, Debug)]
struct Stored {
    place: Place,
    bytes: u32,
    region: Option<AliasRegion>,
    /// Its low bytes.
    value: Value,
}

impl Stored {
    /// Whether another store may change it.
    fn may_overlap(&self, other: &Stored) -> bool {
        if let (Some(region), Some(others)) = (self.region, other.region)
            && region != others
        {
            return false;
        }
        if self.place.base != other.place.base {
            return true;
        }
        let distance = self.place.offset.wrapping_sub(other.place.offset);
        -i64::from(self.bytes) < distance && distance < i64::from(other.bytes)
    }
}

struct Walk<'f> {
    func: &'f mut ir::Function,
    /// What the parameters of blocks are that are reached in one way.
    arguments: FxHashMap<Value, Value>,
    decided: bool,
}

impl Walk<'_> {
    /// What is known at the start of a block; none if nothing reaches it.
    fn start(
        &mut self,
        block: Block,
        cfg: &ControlFlowGraph,
        ends: &SecondaryMap<Block, End>,
    ) -> Option<Vec<Stored>> {
        let mut ways = 0;
        let mut only = None;
        for before in cfg.pred_iter(block) {
            match &ends[before.block] {
                // A loop.
                End::NotYet => ways += 2,
                End::Unreachable => {}
                End::Knows(known) => {
                    let dfg = &self.func.dfg;
                    let destinations = dfg.insts[before.inst]
                        .branch_destination(&dfg.jump_tables, &dfg.exception_tables);
                    let here = |call: &&ir::BlockCall| call.block(&dfg.value_lists) == block;
                    ways += destinations.iter().filter(here).count();
                    only = destinations.iter().find(here).map(|call| (call, known));
                    if ways > 1 {
                        break;
                    }
                }
            }
        }
        match (ways, only) {
            (0, _) => None,
            (1, Some((call, known))) => {
                let dfg = &self.func.dfg;
                let parameters = dfg.block_params(block).iter();
                for (parameter, argument) in parameters.zip(call.args(&dfg.value_lists)) {
                    if let BlockArg::Value(value) = argument {
                        self.arguments.insert(*parameter, value);
                    }
                }
                Some(known.clone())
            }
            _ => Some(Vec::new()),
        }
    }

    /// Walks over a block; returns what is known at its end.
    fn block(&mut self, block: Block, mut known: Vec<Stored>) -> Vec<Stored> {
        let instructions: Vec<Inst> = self.func.layout.block_insts(block).collect();
        for inst in instructions {
            let data = self.func.dfg.insts[inst];
            match data {
                InstructionData::Load { .. } => self.load(inst, &known),
                InstructionData::Store { .. } => self.store(inst, &mut known),
                InstructionData::Brif { arg, blocks, .. } => {
                    if let Some(condition) = self.constant(arg, DEPTH) {
                        self.decide(inst, blocks[usize::from(condition == 0)]);
                    }
                }
                _ => {
                    let opcode = data.opcode();
                    // Also what only loads: an atomic load makes visible what other threads wrote.
                    if opcode.is_call()
                        || opcode.can_load()
                        || opcode.can_store()
                        || opcode.other_side_effects()
                    {
                        known.clear();
                    }
                }
            }
        }
        known
    }

    fn decide(&mut self, inst: Inst, way: ir::BlockCall) {
        let lists = &self.func.dfg.value_lists;
        let block = way.block(lists);
        let arguments: Vec<BlockArg> = way.args(lists).collect();
        self.replace(inst).jump(block, &arguments);
        self.decided = true;
    }

    fn store(&mut self, inst: Inst, known: &mut Vec<Stored>) {
        let dfg = &self.func.dfg;
        let data = &dfg.insts[inst];
        let [value, address] = *dfg.inst_args(inst) else {
            return known.clear();
        };
        let bytes = match data.opcode() {
            Opcode::Istore8 => 1,
            Opcode::Istore16 => 2,
            Opcode::Istore32 => 4,
            Opcode::Store => dfg.value_type(value).bytes(),
            _ => return known.clear(),
        };
        let (offset, region) = (data.load_store_offset(), data.alias_region(dfg));
        let stored = Stored {
            place: self.place(address, offset),
            bytes,
            region,
            value: self.func.dfg.resolve_aliases(value),
        };
        known.retain(|other| !other.may_overlap(&stored));
        if known.len() == MOST {
            known.remove(0);
        }
        known.push(stored);
    }

    fn load(&mut self, inst: Inst, known: &[Stored]) {
        let dfg = &self.func.dfg;
        let data = &dfg.insts[inst];
        let result = dfg.first_result(inst);
        let ty = dfg.value_type(result);
        let bytes = match data.opcode() {
            Opcode::Load => ty.bytes(),
            Opcode::Uload8 => 1,
            Opcode::Uload16 => 2,
            Opcode::Uload32 => 4,
            _ => return,
        };
        let (offset, region) = (data.load_store_offset(), data.alias_region(dfg));
        let [address] = *dfg.inst_args(inst) else {
            return;
        };
        let place = self.place(address, offset);
        let found = known.iter().rev().find(|stored| {
            stored.place == place && stored.bytes == bytes && stored.region == region
        });
        let Some(found) = found else { return };
        let value = found.value;
        let have = self.func.dfg.value_type(value);
        if bytes < ty.bytes() {
            if have == ty {
                self.replace_by_low_bytes(inst, value, ty, bytes);
            }
        } else if have == ty {
            let dfg = &mut self.func.dfg;
            dfg.clear_results(inst);
            dfg.change_to_alias(result, value);
            self.func.layout.remove_inst(inst);
        } else if have.bytes() == bytes && !have.is_vector() && !ty.is_vector() {
            let flags = MemFlagsData::new();
            self.replace(inst).bitcast(ty, flags, value);
        }
    }

    fn replace_by_low_bytes(&mut self, inst: Inst, value: Value, ty: Type, bytes: u32) {
        let mask = (1_i64 << (8 * bytes)) - 1;
        if let Some(constant) = self.constant(value, DEPTH) {
            let constant = constant as i64 & mask;
            self.replace(inst).iconst(ty, constant);
            return;
        }
        let mask = FuncCursor::new(self.func)
            .at_inst(inst)
            .ins()
            .iconst(ty, mask);
        self.replace(inst).band(value, mask);
    }

    fn replace(&mut self, inst: Inst) -> ReplaceBuilder<'_> {
        let func = &mut self.func.stencil;
        ReplaceBuilder::new(&mut func.dfg, &mut func.layout, inst)
    }

    fn place(&self, address: Value, displacement: Option<i32>) -> Place {
        let place = self.sum(address, DEPTH);
        let displacement = i64::from(displacement.unwrap_or(0));
        Place {
            offset: place.offset.wrapping_add(displacement),
            ..place
        }
    }

    /// A value without aliases; for a parameter that can only be one thing, that.
    fn origin(&self, value: Value) -> Value {
        let mut value = self.func.dfg.resolve_aliases(value);
        while let Some(argument) = self.arguments.get(&value) {
            value = self.func.dfg.resolve_aliases(*argument);
        }
        value
    }

    fn definition(&self, value: Value) -> Option<(Opcode, &[Value])> {
        let dfg = &self.func.dfg;
        let inst = dfg.value_def(value).inst()?;
        Some((dfg.insts[inst].opcode(), dfg.inst_args(inst)))
    }

    /// An address, or another `i64`, as a sum.
    fn sum(&self, value: Value, depth: u32) -> Place {
        let value = self.origin(value);
        let opaque = Place {
            base: Some(value),
            offset: 0,
        };
        if let Some(constant) = self.constant(value, depth) {
            return Place {
                base: None,
                offset: constant as i64,
            };
        }
        let Some((Opcode::Iadd, &[left, right])) = self.definition(value) else {
            return opaque;
        };
        let Some(depth) = depth.checked_sub(1) else {
            return opaque;
        };
        let (of, constant) = match (self.constant(left, depth), self.constant(right, depth)) {
            (_, Some(constant)) => (left, constant),
            (Some(constant), _) => (right, constant),
            _ => return opaque,
        };
        let place = self.sum(of, depth);
        Place {
            offset: place.offset.wrapping_add(constant as i64),
            ..place
        }
    }

    /// An integer that is known, zero-extended.
    fn constant(&self, value: Value, depth: u32) -> Option<u64> {
        let value = self.origin(value);
        let dfg = &self.func.dfg;
        let ty = dfg.value_type(value);
        if !ty.is_int() || ty.bits() > 64 {
            return None;
        }
        let mask = u64::MAX >> (64 - ty.bits());
        let inst = dfg.value_def(value).inst()?;
        let depth = depth.checked_sub(1)?;
        let result = match dfg.insts[inst] {
            InstructionData::UnaryImm {
                opcode: Opcode::Iconst,
                ..
            } => known::unsigned(dfg, value)?,
            InstructionData::Unary {
                opcode: Opcode::Uextend | Opcode::Ireduce,
                arg,
            } => self.constant(arg, depth)?,
            InstructionData::Binary { opcode, args } => {
                let [left, right] = args;
                let (left, right) = (self.constant(left, depth)?, self.constant(right, depth)?);
                match opcode {
                    Opcode::Iadd => left.wrapping_add(right),
                    Opcode::Isub => left.wrapping_sub(right),
                    Opcode::Band => left & right,
                    Opcode::Bor => left | right,
                    _ => return None,
                }
            }
            InstructionData::IntCompare { cond, args, .. } => {
                let [left, right] = args;
                let (left, right) = (self.constant(left, depth)?, self.constant(right, depth)?);
                let holds = match cond {
                    IntCC::Equal => left == right,
                    IntCC::NotEqual => left != right,
                    IntCC::UnsignedLessThan => left < right,
                    IntCC::UnsignedLessThanOrEqual => left <= right,
                    IntCC::UnsignedGreaterThan => left > right,
                    IntCC::UnsignedGreaterThanOrEqual => left >= right,
                    _ => return None,
                };
                u64::from(holds)
            }
            _ => return None,
        };
        Some(result & mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codegen::isa::isa;
    use crate::options::CompileOptions;
    use cranelift_codegen::ir::{AbiParam, AliasRegionData, ExtFuncData, ExternalName, types};
    use cranelift_codegen::isa::CallConv;
    use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

    /// Forwards in a function of a pointer and three `i32`s that returns `i32`s; what is left of
    /// it.
    fn forwarded(build: impl Fn(&mut FunctionBuilder<'_>, &[Value]) -> Value) -> String {
        let mut signature = ir::Signature::new(CallConv::Tail);
        let types = [types::I64, types::I32, types::I32, types::I32];
        signature.params.extend(types.map(AbiParam::new));
        signature.returns.push(AbiParam::new(types::I32));
        let mut func = ir::Function::with_name_signature(ir::UserFuncName::user(0, 0), signature);
        let mut context = FunctionBuilderContext::new();
        let mut builder = FunctionBuilder::new(&mut func, &mut context);
        let block = builder.create_block();
        builder.append_block_params_for_function_params(block);
        builder.switch_to_block(block);
        let params = builder.block_params(block).to_vec();
        let result = build(&mut builder, &params);
        builder.ins().return_(&[result]);
        builder.seal_all_blocks();
        let isa = isa(&CompileOptions::default()).unwrap();
        builder.finalize(isa.frontend_config());
        forward_stores(&mut func, &*isa).unwrap();
        cranelift_codegen::verify_function(&func, &*isa).unwrap();
        func.display().to_string()
    }

    /// Flags of an access in a region of that number.
    fn region(builder: &mut FunctionBuilder<'_>, user_id: u32) -> MemFlagsData {
        let region = builder.func.dfg.alias_regions.insert(AliasRegionData {
            user_id,
            description: "region".into(),
        });
        MemFlagsData::new().with_alias_region(Some(region))
    }

    fn plus(builder: &mut FunctionBuilder<'_>, value: Value, constant: i64) -> Value {
        let constant = builder.ins().iconst(types::I64, constant);
        builder.ins().iadd(value, constant)
    }

    #[test]
    fn addresses_are_sums() {
        let left = forwarded(|builder, params| {
            let flags = region(builder, 0);
            let at = plus(builder, params[0], 24);
            builder.ins().store(flags, params[1], at, 8);
            // Elsewhere, but not in between.
            builder.ins().store(flags, params[2], params[0], 28);
            builder.ins().store(flags, params[2], params[0], 36);
            let index = builder.ins().iconst(types::I32, 16);
            let index = builder.ins().uextend(types::I64, index);
            let at = builder.ins().iadd(params[0], index);
            builder.ins().load(types::I32, flags, at, 16)
        });
        assert!(!left.contains("load"), "{left}");
        assert!(left.contains("-> v1\n"), "{left}");
    }

    #[test]
    fn what_may_overlap_is_forgotten() {
        for (displacement, other_region, kept) in [
            (4, 0, true),
            (3, 0, false),
            (-3, 0, false),
            (-4, 0, true),
            (0, 1, true),
        ] {
            let left = forwarded(|builder, params| {
                let (flags, other) = (region(builder, 0), region(builder, other_region));
                builder.ins().store(flags, params[1], params[0], 0);
                let at = plus(builder, params[0], displacement);
                builder.ins().store(other, params[2], at, 0);
                builder.ins().load(types::I32, flags, params[0], 0)
            });
            assert_eq!(!left.contains("load"), kept, "{displacement}: {left}");
        }
        for (other_region, kept) in [(0, false), (1, true)] {
            let left = forwarded(|builder, params| {
                let (flags, other) = (region(builder, 0), region(builder, other_region));
                builder.ins().store(flags, params[1], params[0], 0);
                let index = builder.ins().uextend(types::I64, params[3]);
                let at = builder.ins().iadd(params[0], index);
                builder.ins().store(other, params[2], at, 0);
                builder.ins().load(types::I32, flags, params[0], 0)
            });
            assert_eq!(!left.contains("load"), kept, "{left}");
        }
    }

    #[test]
    fn calls_and_atomics_forget_everything() {
        let left = forwarded(|builder, params| {
            let flags = region(builder, 0);
            builder.ins().store(flags, params[1], params[0], 0);
            let signature = ir::Signature::new(CallConv::Tail);
            let signature = builder.import_signature(signature);
            let callee = builder.import_function(ExtFuncData {
                name: ExternalName::testcase("callee"),
                signature,
                colocated: true,
                patchable: false,
            });
            builder.ins().call(callee, &[]);
            builder.ins().load(types::I32, flags, params[0], 0)
        });
        assert!(left.contains("load.i32"), "{left}");
        let left = forwarded(|builder, params| {
            let flags = region(builder, 0);
            builder.ins().store(flags, params[1], params[0], 0);
            let at = plus(builder, params[0], 64);
            builder
                .ins()
                .atomic_load(types::I32, flags.with_aligned(), at);
            builder.ins().load(types::I32, flags, params[0], 0)
        });
        assert!(left.contains(" load.i32"), "{left}");
    }

    #[test]
    fn narrow_values_lose_their_upper_bits() {
        let left = forwarded(|builder, params| {
            let flags = region(builder, 0);
            builder.ins().istore8(flags, params[1], params[0], 0);
            builder.ins().uload8(types::I32, flags, params[0], 0)
        });
        assert!(!left.contains("uload8") && left.contains("band"), "{left}");
        let left = forwarded(|builder, params| {
            let flags = region(builder, 0);
            let constant = builder.ins().iconst(types::I32, 0x1_ff02);
            builder.ins().istore16(flags, constant, params[0], 0);
            builder.ins().uload16(types::I32, flags, params[0], 0)
        });
        assert!(left.contains("iconst.i32 0xff02"), "{left}");
        // Another width, and a sign.
        let left = forwarded(|builder, params| {
            let flags = region(builder, 0);
            builder.ins().istore8(flags, params[1], params[0], 0);
            let wide = builder.ins().uload16(types::I32, flags, params[0], 0);
            let signed = builder.ins().sload8(types::I32, flags, params[0], 0);
            builder.ins().iadd(wide, signed)
        });
        assert!(
            left.contains("uload16") && left.contains("sload8"),
            "{left}"
        );
        // Another type.
        let left = forwarded(|builder, params| {
            let flags = region(builder, 0);
            builder.ins().store(flags, params[1], params[0], 0);
            let float = builder.ins().load(types::F32, flags, params[0], 0);
            builder
                .ins()
                .bitcast(types::I32, MemFlagsData::new(), float)
        });
        assert!(!left.contains("load"), "{left}");
    }

    /// Stores 2 as a byte, branches on the byte that is there, and loads in the block where ways
    /// meet.
    fn branching(between: impl Fn(&mut FunctionBuilder<'_>, &[Value])) -> String {
        forwarded(|builder, params| {
            let flags = region(builder, 0);
            let two = builder.ins().iconst(types::I32, 2);
            builder.ins().istore8(flags, two, params[0], 0);
            builder.ins().store(flags, params[1], params[0], 8);
            between(builder, params);
            let byte = builder.ins().uload8(types::I32, flags, params[0], 0);
            let is_two = builder.ins().icmp(IntCC::Equal, byte, two);
            let [yes, no, done] = std::array::from_fn(|_| builder.create_block());
            let result = builder.append_block_param(done, types::I32);
            builder.ins().brif(is_two, yes, &[], no, &[]);
            builder.switch_to_block(no);
            builder.ins().store(flags, params[2], params[0], 8);
            builder.ins().jump(done, &[BlockArg::Value(params[2])]);
            builder.switch_to_block(yes);
            builder.ins().jump(done, &[BlockArg::Value(params[3])]);
            builder.switch_to_block(done);
            let loaded = builder.ins().load(types::I32, flags, params[0], 8);
            builder.ins().iadd(result, loaded)
        })
    }

    #[test]
    fn branches_on_what_is_known_are_decided() {
        let left = branching(|_, _| {});
        assert!(!left.contains("load") && !left.contains("brif"), "{left}");
        assert_eq!(left.matches("store").count(), 2, "{left}");
        let left = branching(|builder, params| {
            let flags = region(builder, 0);
            builder.ins().store(flags, params[1], params[0], 0);
        });
        assert!(left.contains("uload8") && left.contains("brif"), "{left}");
        assert!(
            left.contains(" load.i32"),
            "nothing is known where ways meet: {left}"
        );
    }

    #[test]
    fn loops_start_with_nothing() {
        let left = forwarded(|builder, params| {
            let flags = region(builder, 0);
            builder.ins().store(flags, params[1], params[0], 0);
            let [again, done] = std::array::from_fn(|_| builder.create_block());
            builder.ins().jump(again, &[]);
            builder.switch_to_block(again);
            let loaded = builder.ins().load(types::I32, flags, params[0], 0);
            let next = builder.ins().iadd(loaded, params[2]);
            builder.ins().store(flags, next, params[0], 0);
            builder.ins().brif(next, again, &[], done, &[]);
            builder.switch_to_block(done);
            builder.ins().load(types::I32, flags, params[0], 0)
        });
        assert_eq!(left.matches("load.i32").count(), 1, "{left}");
    }
}
