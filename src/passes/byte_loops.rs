//! Loops that compare two runs of bytes, as every library's `memcmp` does, skip what is equal in
//! steps of [`STEP`] bytes:
//!
//! ```text
//! header(l, r, n):  a = load8 l; b = load8 r; branch a != b → found, else → latch
//! latch:            branch n - 1 != 0 → header(l + 1, r + 1, n - 1), else → end
//! ```
//!
//! What is jumped over is iterations that would have changed nothing but the parameters of the
//! header, by constants. The loop stays, to end itself: at the byte that differs or in the last
//! [`STEP`] iterations. So the result, and what is read of either run outside of the pages of bytes
//! that the loop reads, are as before:
//!
//! - a step is made only if more than [`STEP`] iterations are left should no byte differ;
//! - and only if neither of its loads crosses a page, so that all of their bytes can be accessed if
//!   the first one can, which the loop reads next. (Pages of the machine: addresses start from the
//!   context pointer, which is aligned to more. Nor can the index wrap around in a step, since 2^32
//!   ends a page.)

use super::{index_from, plus_constant};
use crate::codegen::known;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, ArgumentPurpose, Block, BlockArg, Inst, InstBuilder, InstructionData, MemFlags, Opcode,
    Value, types,
};

/// Bytes that one step compares.
const STEP: i64 = 16;

/// Values that a sum may consist of, each counted as often as it is added. An index has few; more
/// would cost depth and time that a guest chooses, since each value may add up others twice.
const MOST_TERMS: u32 = 64;

/// The smallest page.
const PAGE: i64 = 4096;

/// Adds the steps to all loops of a function that allow them; returns whether there are such loops.
pub(super) fn skip_equal_bytes(func: &mut ir::Function, cfg: &mut ControlFlowGraph) -> bool {
    let blocks: Vec<Block> = func.layout.blocks().collect();
    let context = func.special_param(ArgumentPurpose::VMContext);
    let Some(context) = context else { return false };
    let mut has_new_blocks = false;
    for header in blocks {
        let Some(candidate) = Candidate::at(func, context, header) else {
            continue;
        };
        if let Some(found) = candidate.check(func, cfg) {
            for changed in found.add_steps(func, cfg, context) {
                cfg.recompute_block(func, changed);
            }
            has_new_blocks = true;
        }
    }
    has_new_blocks
}

/// A load of one byte.
#[derive(Clone, Copy)]
struct ByteLoad {
    inst: Inst,
    flags: MemFlags,
    offset: ir::immediates::Offset32,
    /// The index that is added to the context.
    index: Value,
}

/// A block that compares two bytes.
struct Candidate {
    header: Block,
    latch: Block,
    loads: [ByteLoad; 2],
}

/// A loop that compares bytes.
struct ByteLoop {
    header: Block,
    latch: Block,
    loads: [ByteLoad; 2],
    /// What an iteration adds to each of the header's parameters.
    steps: Vec<i64>,
    counter: Counter,
}

/// What ends a loop of which all bytes are equal.
struct Counter {
    /// The number of a parameter of the header that an iteration adds 1 to, or subtracts 1 from.
    parameter: usize,
    /// Its value after the last iteration.
    end: End,
}

#[derive(Clone, Copy)]
enum End {
    Constant(i64),
    /// Something that is defined before the loop.
    Value(Value),
}

impl Candidate {
    fn at(func: &ir::Function, context: Value, header: Block) -> Option<Candidate> {
        let mut loads = Vec::new();
        let branch = func.layout.last_inst(header)?;
        for inst in func.layout.block_insts(header) {
            match func.dfg.insts[inst] {
                InstructionData::Load {
                    opcode: Opcode::Uload8,
                    arg,
                    flags,
                    offset,
                } if loads.len() < 2 => loads.push(ByteLoad {
                    inst,
                    flags,
                    offset,
                    index: index_from(func, context, arg)?,
                }),
                _ if inst == branch || is_pure(func, inst) => {}
                _ => return None,
            }
        }
        let loads: [ByteLoad; 2] = loads.try_into().ok()?;
        let (condition, taken, not_taken) = branch_of(func, branch)?;
        let bytes = loads.map(|load| func.dfg.first_result(load.inst));
        let equal = match compared(func, condition, bytes)? {
            IntCC::Equal => taken,
            _ => not_taken,
        };
        let latch = equal.block(&func.dfg.value_lists);
        let is_plain = equal.len(&func.dfg.value_lists) == 0 && latch != header;
        is_plain.then_some(Candidate {
            header,
            latch,
            loads,
        })
    }

    /// Whether the block and its latch are a loop of which nothing else is to be seen.
    fn check(self, func: &ir::Function, cfg: &ControlFlowGraph) -> Option<ByteLoop> {
        let Candidate {
            header,
            latch,
            loads,
        } = self;
        let branch = func.layout.last_inst(latch)?;
        let mut before_branch = func.layout.block_insts(latch).filter(|i| *i != branch);
        if !before_branch.all(|inst| is_pure(func, inst)) {
            return None;
        }
        if !cfg.pred_iter(latch).all(|from| from.block == header) {
            return None;
        }
        let (condition, taken, not_taken) = branch_of(func, branch)?;
        let pool = &func.dfg.value_lists;
        let (again, goes_on) = match [taken, not_taken].map(|to| to.block(pool) == header) {
            [true, false] => (taken, While::NonZero),
            [false, true] => (not_taken, While::Zero),
            _ => return None,
        };
        let params = func.dfg.block_params(header);
        let steps = again
            .args(pool)
            .zip(params)
            .map(|(arg, param)| step_to(func, *param, arg.as_value()?))
            .collect::<Option<Vec<i64>>>()?;
        let in_loop = |value| is_in(func, value, [header, latch]);
        let view = View {
            func,
            params,
            steps: &steps,
            in_loop: &in_loop,
        };
        let counter = view.counter(condition, goes_on)?;
        let advance = |load: &ByteLoad| view.advance(load.index, &mut { MOST_TERMS }) == Some(1);
        loads.iter().all(advance).then_some(ByteLoop {
            header,
            latch,
            loads,
            steps: steps.clone(),
            counter,
        })
    }
}

/// When a loop goes on.
#[derive(Clone, Copy)]
enum While {
    /// While the condition is zero.
    Zero,
    /// While it is not.
    NonZero,
}

/// A loop, while it is looked at.
struct View<'f> {
    func: &'f ir::Function,
    params: &'f [Value],
    steps: &'f [i64],
    in_loop: &'f dyn Fn(Value) -> bool,
}

impl View<'_> {
    /// What an iteration adds to a sum of parameters, constants and values from before the loop, of
    /// no more than so many values.
    fn advance(&self, value: Value, left_over: &mut u32) -> Option<i64> {
        *left_over = left_over.checked_sub(1)?;
        if let Some(at) = self.params.iter().position(|param| *param == value) {
            return Some(self.steps[at]);
        }
        if !(self.in_loop)(value) || known::signed(&self.func.dfg, value).is_some() {
            return Some(0);
        }
        let inst = self.func.dfg.value_def(value).inst()?;
        let InstructionData::Binary { opcode, args } = self.func.dfg.insts[inst] else {
            return None;
        };
        let [left, right] = args;
        let mut both = || {
            Some((
                self.advance(left, left_over)?,
                self.advance(right, left_over)?,
            ))
        };
        match opcode {
            Opcode::Iadd => both().map(|(left, right)| left.wrapping_add(right)),
            Opcode::Isub => both().map(|(left, right)| left.wrapping_sub(right)),
            _ => None,
        }
    }

    /// The counter that the latch's condition tests.
    fn counter(&self, condition: Value, goes_on: While) -> Option<Counter> {
        let compare = |value: Value| {
            let inst = self.func.dfg.value_def(value).inst()?;
            match self.func.dfg.insts[inst] {
                InstructionData::IntCompare {
                    opcode: Opcode::Icmp,
                    args,
                    cond,
                } => Some((cond, args)),
                _ => None,
            }
        };
        match (compare(condition), goes_on) {
            (Some((IntCC::NotEqual, [left, right])), While::NonZero)
            | (Some((IntCC::Equal, [left, right])), While::Zero) => self
                .counter_until(left, right)
                .or_else(|| self.counter_until(right, left)),
            (None, While::NonZero) => self.ends_at(condition, End::Constant(0)),
            _ => None,
        }
    }

    fn counter_until(&self, value: Value, end: Value) -> Option<Counter> {
        let end = match known::signed(&self.func.dfg, end) {
            Some(constant) => End::Constant(constant),
            None if !(self.in_loop)(end) => End::Value(end),
            None => return None,
        };
        self.ends_at(value, end)
    }

    /// `value` is a counter, before its step or after it.
    fn ends_at(&self, value: Value, end: End) -> Option<Counter> {
        let (counter, plus) = plus_constant(self.func, value).unwrap_or((value, 0));
        let parameter = self.params.iter().position(|param| *param == counter)?;
        let step = self.steps[parameter];
        if step.abs() != 1 {
            return None;
        }
        // The loop ends when the parameter plus `plus` is `end`; its next value is then `step -
        // plus` more.
        let end = match end {
            End::Constant(end) => End::Constant(end.wrapping_sub(plus).wrapping_add(step)),
            end if plus == step => end,
            _ => return None,
        };
        Some(Counter { parameter, end })
    }
}

impl ByteLoop {
    /// Puts the steps before the loop's header. Returns the blocks that go elsewhere now, and the
    /// new ones.
    fn add_steps(
        &self,
        func: &mut ir::Function,
        cfg: &ControlFlowGraph,
        context: Value,
    ) -> Vec<Block> {
        let params: Vec<Value> = func.dfg.block_params(self.header).to_vec();
        let types: Vec<_> = params.iter().map(|v| func.dfg.value_type(*v)).collect();
        let [enter, within, compare, next, at_difference] = [(); 5].map(|()| func.dfg.make_block());
        let own: Vec<Value> = types
            .iter()
            .map(|ty| func.dfg.append_block_param(enter, *ty))
            .collect();
        let mut changed = vec![enter, within, compare, next, at_difference];
        for from in cfg.pred_iter(self.header) {
            func.rewrite_branch_destination(from.inst, self.header, enter);
            changed.push(from.block);
        }
        for block in [enter, within, compare, next, at_difference] {
            func.layout.insert_block(block, self.header);
        }
        let location = func.srcloc(self.loads[0].inst);
        let to = |values: &[Value]| {
            values
                .iter()
                .map(|v| BlockArg::from(*v))
                .collect::<Vec<_>>()
        };
        let one_by_one = to(&own);
        let mut cursor = FuncCursor::new(func).at_bottom(enter).with_srcloc(location);

        // How many iterations are left, if no byte differs; 0 stands for 2^32 or 2^64.
        let ty = types[self.counter.parameter];
        let now = own[self.counter.parameter];
        let end = match self.counter.end {
            End::Constant(end) => cursor.ins().iconst(ty, truncated(end, ty)),
            End::Value(end) => end,
        };
        let left = match (self.steps[self.counter.parameter], self.counter.end) {
            (1, _) => cursor.ins().isub(end, now),
            (_, End::Constant(0)) => now,
            _ => cursor.ins().isub(now, end),
        };
        let step = cursor.ins().iconst(ty, STEP);
        let many = cursor.ins().icmp(IntCC::UnsignedGreaterThan, left, step);
        cursor
            .ins()
            .brif(many, within, &[], self.header, &one_by_one);

        cursor = cursor.at_bottom(within);
        let addresses = self.loads.map(|load| {
            let index = self.copy_sum(&mut cursor, load.index, &params, &own);
            let index = cursor.ins().uextend(types::I64, index);
            cursor.ins().iadd(context, index)
        });
        let in_page = [0, 1].map(|at| {
            let offset = i64::from(self.loads[at].offset);
            let offset = cursor.ins().iconst(types::I64, offset);
            let address = cursor.ins().iadd(addresses[at], offset);
            let mask = cursor.ins().iconst(types::I64, PAGE - 1);
            cursor.ins().band(address, mask)
        });
        let furthest = cursor.ins().umax(in_page[0], in_page[1]);
        let last = cursor.ins().iconst(types::I64, PAGE - STEP);
        let crosses = cursor
            .ins()
            .icmp(IntCC::UnsignedGreaterThan, furthest, last);
        cursor
            .ins()
            .brif(crosses, self.header, &one_by_one, compare, &[]);

        cursor = cursor.at_bottom(compare);
        let bytes = [0, 1].map(|at| {
            let load = self.loads[at];
            let location = cursor.func.srcloc(load.inst);
            cursor.set_srcloc(location);
            let (opcode, ty) = (Opcode::Load, types::I8X16);
            let (inst, dfg) = cursor
                .ins()
                .Load(opcode, ty, load.flags, load.offset, addresses[at]);
            dfg.first_result(inst)
        });
        let equal = cursor.ins().icmp(IntCC::Equal, bytes[0], bytes[1]);
        let equal = cursor.ins().vhigh_bits(types::I32, equal);
        let all = cursor.ins().iconst(types::I32, 0xffff);
        let any = cursor.ins().icmp(IntCC::NotEqual, equal, all);
        cursor.ins().brif(any, at_difference, &[], next, &[]);

        cursor = cursor.at_bottom(next);
        let moved: Vec<Value> = own
            .iter()
            .zip(&self.steps)
            .map(|(value, step)| {
                let ty = cursor.func.dfg.value_type(*value);
                match step.wrapping_mul(STEP) {
                    0 => *value,
                    by => {
                        let by = cursor.ins().iconst(ty, truncated(by, ty));
                        cursor.ins().iadd(*value, by)
                    }
                }
            })
            .collect();
        cursor.ins().jump(enter, &to(&moved));

        cursor = cursor.at_bottom(at_difference);
        let different = cursor.ins().bnot(equal);
        let skipped = cursor.ins().ctz(different);
        let moved: Vec<Value> = own
            .iter()
            .zip(&self.steps)
            .map(|(value, step)| {
                let ty = cursor.func.dfg.value_type(*value);
                let count = match ty {
                    types::I64 => cursor.ins().uextend(types::I64, skipped),
                    _ => skipped,
                };
                match step {
                    0 => *value,
                    1 => cursor.ins().iadd(*value, count),
                    -1 => cursor.ins().isub(*value, count),
                    step => {
                        let step = cursor.ins().iconst(ty, truncated(*step, ty));
                        let by = cursor.ins().imul(count, step);
                        cursor.ins().iadd(*value, by)
                    }
                }
            })
            .collect();
        cursor.ins().jump(self.header, &to(&moved));
        changed
    }

    /// A copy of what the loop adds up, of `own` instead of `params`. It is no longer than
    /// [`MOST_TERMS`], as [`View::advance`] has seen.
    fn copy_sum(
        &self,
        cursor: &mut FuncCursor<'_>,
        value: Value,
        params: &[Value],
        own: &[Value],
    ) -> Value {
        if let Some(at) = params.iter().position(|param| *param == value) {
            return own[at];
        }
        if !is_in(cursor.func, value, [self.header, self.latch]) {
            return value;
        }
        let inst = cursor.func.dfg.value_def(value).unwrap_inst();
        match cursor.func.dfg.insts[inst] {
            InstructionData::Binary { opcode, args } => {
                let [left, right] = args.map(|arg| self.copy_sum(cursor, arg, params, own));
                match opcode {
                    Opcode::Iadd => cursor.ins().iadd(left, right),
                    _ => cursor.ins().isub(left, right),
                }
            }
            _ => {
                let copy = cursor.func.dfg.clone_inst(inst);
                cursor.insert_inst(copy);
                cursor.func.dfg.first_result(copy)
            }
        }
    }
}

/// Whether a value is defined in one of `blocks`.
fn is_in(func: &ir::Function, value: Value, blocks: [Block; 2]) -> bool {
    let block = match func.dfg.value_def(value) {
        ir::ValueDef::Result(inst, _) => func.layout.inst_block(inst),
        ir::ValueDef::Param(block, _) => Some(block),
        ir::ValueDef::Union(..) => None,
    };
    block.is_none_or(|block| blocks.contains(&block))
}

/// The low bits of a constant, as a constant instruction of that type has them.
fn truncated(value: i64, ty: ir::Type) -> i64 {
    match ty.bits() {
        64 => value,
        bits => value & ((1 << bits) - 1),
    }
}

/// The comparison of two bytes that a condition is.
fn compared(func: &ir::Function, condition: Value, bytes: [Value; 2]) -> Option<IntCC> {
    let inst = func.dfg.value_def(condition).inst()?;
    let (cc, args) = match func.dfg.insts[inst] {
        InstructionData::IntCompare {
            opcode: Opcode::Icmp,
            args,
            cond: cond @ (IntCC::Equal | IntCC::NotEqual),
        } => (cond, args),
        InstructionData::Binary {
            opcode: Opcode::Isub | Opcode::Bxor,
            args,
        } => (IntCC::NotEqual, args),
        _ => return None,
    };
    (args == bytes || args == [bytes[1], bytes[0]]).then_some(cc)
}

/// The condition of a two-way branch, where it goes if that is not zero, and else.
fn branch_of(func: &ir::Function, branch: Inst) -> Option<(Value, &ir::BlockCall, &ir::BlockCall)> {
    match &func.dfg.insts[branch] {
        InstructionData::Brif { arg, blocks, .. } => Some((*arg, &blocks[0], &blocks[1])),
        _ => None,
    }
}

/// How much `next` is more than `param`, if that is a constant.
fn step_to(func: &ir::Function, param: Value, next: Value) -> Option<i64> {
    let is_integer = matches!(func.dfg.value_type(param), types::I32 | types::I64);
    match plus_constant(func, next) {
        _ if next == param => Some(0),
        Some((base, step)) if base == param && is_integer => Some(step),
        _ => None,
    }
}

/// Whether an instruction only computes.
fn is_pure(func: &ir::Function, inst: Inst) -> bool {
    let opcode = func.dfg.insts[inst].opcode();
    let is_impure = opcode.is_terminator()
        || opcode.is_call()
        || opcode.can_load()
        || opcode.can_store()
        || opcode.can_trap()
        || opcode.other_side_effects();
    !is_impure
}
