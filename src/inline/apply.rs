//! Putting bodies in the place of calls.

use super::Body;
use super::graph::callee_key;
use super::heuristics::{self, CallSite, Callers, Tunables};
use super::positions::Positions;
use crate::codegen;
use anyhow::{Context as _, Result, ensure};
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::inline::{Inline, InlineCommand};
use cranelift_codegen::ir::{self, Opcode};
use cranelift_codegen::loop_analysis::LoopAnalysis;
use cranelift_codegen::traversals::Dfs;
use std::borrow::Cow;
use std::sync::Arc;
use trampette_artifact::key::FuncKey;

/// A finished function that callers may take in.
#[derive(Clone)]
pub(crate) struct Inlinable {
    /// Which.
    pub key: FuncKey,
    /// Its body.
    pub body: Body,
    /// [`heuristics::size`] of it.
    pub size: u32,
    /// Whether a single call names it, and nothing else needs it.
    pub only_call: bool,
    /// Whether it calls anything.
    pub makes_calls: bool,
}

impl Inlinable {
    /// A function as callers see it.
    ///
    /// # Errors
    /// If none could take it in: the body back.
    pub(crate) fn new(
        key: FuncKey,
        body: Body,
        callers: Callers,
        tunables: &Tunables,
    ) -> Result<Inlinable, Box<Body>> {
        let size = heuristics::size(&body.func);
        let parameters = body.func.signature.params.len() as u32;
        if !tunables.may_be_worth(size, parameters, callers) || is_bound_to_its_frame(&body.func) {
            return Err(Box::new(body));
        }
        let makes_calls = instructions(&body.func).any(|opcode| opcode.is_call());
        Ok(Inlinable {
            key,
            body,
            size,
            only_call: callers.only,
            makes_calls,
        })
    }
}

/// What became of a function's calls.
#[derive(Default, Debug)]
pub(crate) struct Outcome {
    /// Calls that were replaced.
    pub inlined: usize,
    /// Functions that are still called (not those that inlined bodies call).
    pub kept: Vec<FuncKey>,
}

/// Replaces calls of `caller`, the body of `key`, by the bodies that `inlinable` has, where it is
/// worth it.
///
/// # Errors
/// If Cranelift gives up, or numbers instructions otherwise than is expected.
pub(crate) fn inline_calls<'i>(
    key: FuncKey,
    caller: &mut Body,
    tunables: &Tunables,
    inlinable: impl Fn(FuncKey) -> Option<&'i Arc<Inlinable>>,
) -> Result<Outcome> {
    let func = &caller.func;
    let size = heuristics::size(func);
    let loops = match loops_matter(key, func, size, tunables, &inlinable) {
        Some(true) => loops_of(func),
        Some(false) => LoopAnalysis::new(),
        None => {
            return Ok(Outcome {
                inlined: 0,
                kept: called(func).map(|(_, key)| key).collect(),
            });
        }
    };
    let mut decisions = Decisions {
        caller: key,
        tunables,
        loops,
        inlinable,
        size,
        taken: 0,
        original_blocks: func.dfg.num_blocks(),
        loop_level: 0,
        events: Vec::new(),
        kept: Vec::new(),
    };
    let mut context = cranelift_codegen::Context::new();
    std::mem::swap(&mut context.func, &mut caller.func);
    let result = context.inline(&mut decisions);
    std::mem::swap(&mut context.func, &mut caller.func);
    result.context("cannot inline")?;
    let Decisions {
        events, mut kept, ..
    } = decisions;
    let Body {
        func,
        positions,
        is_mixed,
    } = caller;
    if !events.is_empty() {
        func.params.ensure_base_srcloc(ir::SourceLoc::new(0));
    }
    for event in &events {
        *is_mixed |= event.callee.body.is_mixed || !are_of_one_module(key, event.callee.key);
        restore_symbols(func, event);
        restore_positions(func, positions, event)?;
        if event.callee.body.func.stack_limit.is_some() && func.stack_limit.is_none() {
            codegen::set_stack_limit(func);
        }
    }
    kept.sort_unstable();
    kept.dedup();
    Ok(Outcome {
        inlined: events.len(),
        kept,
    })
}

/// Whether what is inlined depends on where the loops are; none if nothing is wherever they are.
fn loops_matter<'i>(
    caller: FuncKey,
    func: &ir::Function,
    size: u32,
    tunables: &Tunables,
    inlinable: &impl Fn(FuncKey) -> Option<&'i Arc<Inlinable>>,
) -> Option<bool> {
    let (mut some, mut matter) = (false, false);
    for (call, key) in called(func) {
        let Some(callee) = inlinable(key) else {
            continue;
        };
        let args = func.dfg.inst_args(call);
        let site = call_site(caller, func, args, callee);
        let worth = |in_loop| tunables.is_worth(&CallSite { in_loop, ..site }, size, 0);
        let in_loop = worth(true);
        some |= in_loop;
        matter |= in_loop && !worth(false);
    }
    some.then_some(matter)
}

fn loops_of(func: &ir::Function) -> LoopAnalysis {
    let cfg = ControlFlowGraph::with_function(func);
    let domtree = DominatorTree::with_function(func, &cfg);
    let mut loops = LoopAnalysis::new();
    loops.compute(func, &cfg, &domtree);
    loops
}

/// The direct calls of functions with keys.
fn called(func: &ir::Function) -> impl Iterator<Item = (ir::Inst, FuncKey)> {
    let blocks = func.layout.blocks();
    let insts = blocks.flat_map(|block| func.layout.block_insts(block));
    insts.filter_map(|inst| {
        let callee = match func.dfg.insts[inst] {
            ir::InstructionData::Call { func_ref, .. }
            | ir::InstructionData::TryCall { func_ref, .. } => func_ref,
            _ => return None,
        };
        Some((inst, callee_key(func, callee)?))
    })
}

/// A call as heuristics see it, outside of loops.
fn call_site(
    caller: FuncKey,
    func: &ir::Function,
    args: &[ir::Value],
    callee: &Inlinable,
) -> CallSite {
    let constant = |value: &&ir::Value| {
        func.dfg.value_def(**value).inst().is_some_and(|inst| {
            matches!(
                func.dfg.insts[inst].opcode(),
                Opcode::Iconst | Opcode::F32const | Opcode::F64const
            )
        })
    };
    CallSite {
        size: callee.size,
        parameters: args.len() as u32 - 1,
        constants: args.iter().filter(constant).count() as u32,
        in_loop: false,
        only: callee.only_call,
        within_module: are_of_one_module(caller, callee.key),
    }
}

/// A call that was replaced.
struct Event<'i> {
    callee: &'i Arc<Inlinable>,
    call: ir::Inst,
    /// What kind of call it was.
    opcode: Opcode,
    /// The location it had.
    location: ir::SourceLoc,
    /// How many instructions the caller had before.
    instructions: usize,
    /// How many global values the caller had before.
    global_values: usize,
}

struct Decisions<'t, 'i, F> {
    caller: FuncKey,
    tunables: &'t Tunables,
    loops: LoopAnalysis,
    inlinable: F,
    size: u32,
    taken: u32,
    /// Blocks that the loop analysis knows; those that inlining makes come after.
    original_blocks: usize,
    /// The loop level of the original block that the walk is in.
    loop_level: usize,
    events: Vec<Event<'i>>,
    kept: Vec<FuncKey>,
}

impl<'i, F: Fn(FuncKey) -> Option<&'i Arc<Inlinable>>> Inline for Decisions<'_, 'i, F> {
    fn inline(
        &mut self,
        caller: &ir::Function,
        call: ir::Inst,
        opcode: Opcode,
        callee: ir::FuncRef,
        args: &[ir::Value],
    ) -> InlineCommand<'_> {
        let Some(key) = callee_key(caller, callee) else {
            return InlineCommand::KeepCall;
        };
        let block = caller.layout.inst_block(call).expect("calls are in blocks");
        // The rest of a block whose call was replaced is a new block, in the same loop.
        if (block.as_u32() as usize) < self.original_blocks {
            self.loop_level = self.loops.loop_level(block).level();
        }
        let worth = (self.inlinable)(key).filter(|callee| {
            let site = CallSite {
                in_loop: self.loop_level > 0,
                ..call_site(self.caller, caller, args, callee)
            };
            // What the callee of a `try_call` calls would need the handlers too: not for now.
            let needs_handlers = opcode == Opcode::TryCall && callee.makes_calls;
            !needs_handlers
                && !caller.layout.is_cold(block)
                && self.tunables.is_worth(&site, self.size, self.taken)
        });
        let Some(callee) = worth else {
            self.kept.push(key);
            return InlineCommand::KeepCall;
        };
        self.taken += callee.size;
        self.events.push(Event {
            callee,
            call,
            opcode,
            location: caller.srcloc(call),
            instructions: caller.dfg.num_insts(),
            global_values: caller.global_values.len(),
        });
        InlineCommand::Inline {
            callee: Cow::Borrowed(&callee.body.func),
            visit_callee: false,
        }
    }
}

/// Makes the symbols that came with a callee name what they named there: the inliner copies global
/// values in order, but leaves names as numbers of the callee's.
fn restore_symbols(func: &mut ir::Function, event: &Event<'_>) {
    let callee = &event.callee.body.func;
    for (number, value) in callee.global_values.iter() {
        let ir::GlobalValueData::Symbol {
            name: ir::ExternalName::User(name),
            ..
        } = value
        else {
            continue;
        };
        let named = callee.params.user_named_funcs()[*name].clone();
        let own_name = func.declare_imported_user_function(named);
        let number = event.global_values + number.as_u32() as usize;
        let copy = &mut func.global_values[ir::GlobalValue::from_u32(number as u32)];
        if let ir::GlobalValueData::Symbol { name, .. } = copy {
            *name = ir::ExternalName::user(own_name);
        }
    }
}

/// Gives the instructions that replaced a call their locations.
///
/// The inliner makes them in the order of a depth-first walk over the callee's blocks, one for
/// each; before them, for a `try_call`, perhaps a jump; after a tail call, which becomes a call,
/// another jump. Opcodes are compared on the way, so that a Cranelift that does it otherwise is
/// noticed.
fn restore_positions(
    func: &mut ir::Function,
    positions: &mut Positions,
    event: &Event<'_>,
) -> Result<()> {
    let callee = &event.callee.body;
    let mut inlining = positions.inline(event.callee.key, &callee.positions, event.location);
    let mut next = event.instructions;
    let inst = |number: usize| ir::Inst::from_u32(number as u32);
    let made = |func: &ir::Function, number: usize| {
        (number < func.dfg.num_insts()).then(|| func.dfg.insts[inst(number)].opcode())
    };
    let mut first = true;
    for block in Dfs::new().pre_order_iter(&callee.func) {
        for original in callee.func.layout.block_insts(block) {
            let opcode = callee.func.dfg.insts[original].opcode();
            let expected = match (opcode, event.opcode) {
                (_, Opcode::ReturnCall) => opcode,
                (Opcode::Return, _) => Opcode::Jump,
                (Opcode::ReturnCall, _) => Opcode::Call,
                (Opcode::ReturnCallIndirect, _) => Opcode::CallIndirect,
                _ => opcode,
            };
            if first
                && event.opcode == Opcode::TryCall
                && made(func, next) == Some(Opcode::Jump)
                && expected != Opcode::Jump
            {
                next += 1;
            }
            first = false;
            ensure!(
                made(func, next) == Some(expected),
                "internal error: {} was inlined at {} in an unknown order",
                event.callee.key,
                event.call
            );
            let location = inlining.location(callee.func.srcloc(original));
            func.set_srcloc(inst(next), location);
            next += 1;
            if opcode != expected && expected.is_call() {
                func.set_srcloc(inst(next), location);
                next += 1;
            }
        }
    }
    Ok(())
}

/// Whether both are functions of one core module.
pub(crate) fn are_of_one_module(one: FuncKey, other: FuncKey) -> bool {
    let unit = |key| match key {
        FuncKey::ModuleFunction(unit, _) => Some(unit),
        _ => None,
    };
    unit(one).is_some() && unit(one) == unit(other)
}

/// Whether a function looks at its own frame.
fn is_bound_to_its_frame(func: &ir::Function) -> bool {
    instructions(func).any(|opcode| {
        matches!(
            opcode,
            Opcode::GetStackPointer
                | Opcode::GetFramePointer
                | Opcode::GetReturnAddress
                | Opcode::GetExceptionHandlerAddress
        )
    })
}

fn instructions(func: &ir::Function) -> impl Iterator<Item = Opcode> {
    let blocks = func.layout.blocks();
    let insts = blocks.flat_map(|block| func.layout.block_insts(block));
    insts.map(|inst| func.dfg.insts[inst].opcode())
}
