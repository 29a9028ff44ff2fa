//! Exceptions: the clauses of `try_table`, `throw`, `throw_ref`, and calls that an exception may
//! leave.
//!
//! A call inside a `try_table` is a Cranelift `try_call` whose exception table lists the clauses of
//! all `try_table`s around it, innermost first. The runtime finds the handler of the innermost
//! frame that catches the exception and goes on in its *landing*: a block for each clause that
//! reads the values and branches to the clause's label. Tags are compared by their definition,
//! which is known here: a `throw` whose own function catches it, without a reference, is a plain
//! branch.
//!
//! Not here: finding the handler, and how long an exception lives (the runtime's `exceptions`).

use super::Translator;
use crate::codegen::{self, Region, clif_trap, clif_type};
use crate::program::module::CoreType;
use anyhow::{Result, ensure};
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, ExceptionTableData, ExceptionTableItem, ExceptionTag, FuncRef,
    InstBuilder, MemFlagsData, SigRef, StackSlot, StackSlotData, StackSlotKind, Value, types,
};
use std::collections::HashSet;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::key::FuncKey;
use trampette_artifact::tables::{Catch, CatchNeeds, EXCEPTION_SLOT};
use trampette_artifact::trap::TrapCode;
use wasmparser::{Operator, TryTable};

/// What the translation of a function knows of exceptions.
#[derive(Default)]
pub(super) struct State {
    /// Clauses of the open `try_table`s in the opposite of the order in which they are tried: the
    /// innermost `try_table`'s first clause is the last.
    clauses: Vec<Clause>,
    /// Where values of thrown exceptions are put, and how many there is room for.
    thrown: Option<(StackSlot, u32)>,
    /// Entries of all exception tables so far.
    handlers: usize,
}

/// Exception tables of a function have at most this many entries: calls times clauses around them.
const MAX_HANDLERS: usize = 1 << 20;

/// A clause of an open `try_table`.
struct Clause {
    catch: Catch,
    /// The module's index of the tag whose values the label takes.
    tag: Option<u32>,
    /// The frame whose label it branches to.
    target: usize,
    /// Where control goes on, once a call needs it.
    landing: Option<Block>,
}

/// What a call calls.
#[derive(Clone, Copy)]
pub(super) enum Callee {
    Direct(FuncRef),
    Indirect(SigRef, Value),
}

pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> Result<bool> {
    match op {
        Operator::Throw { tag_index } => t.throw(*tag_index)?,
        Operator::ThrowRef => {
            let exception = t.pop1();
            t.builder
                .ins()
                .trapz(exception, clif_trap(TrapCode::NullException));
            t.throw_builtin(Builtin::ThrowRef, &[exception])?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

impl<'a> Translator<'a, '_> {
    /// Makes the clauses of a `try_table` that is about to be opened current. Returns how many
    /// there were before.
    pub(super) fn push_clauses(&mut self, try_table: &TryTable) -> usize {
        let outer = self.exceptions.clauses.len();
        for catch in try_table.catches.iter().rev() {
            use wasmparser::Catch::{All, AllRef, One, OneRef};
            let (tag, label, needs) = match *catch {
                One { tag, label } => (Some(tag), label, CatchNeeds::Values),
                OneRef { tag, label } => (Some(tag), label, CatchNeeds::Reference),
                All { label } => (None, label, CatchNeeds::Values),
                AllRef { label } => (None, label, CatchNeeds::Reference),
            };
            let definition = tag.map(|tag| self.unit.tags[tag as usize]);
            let target = self.frame_at(label);
            self.exceptions.clauses.push(Clause {
                catch: Catch::new(definition, needs),
                tag,
                target,
                landing: None,
            });
        }
        outer
    }

    /// Whether an exception may reach a clause after the first `outer` ones.
    pub(super) fn has_landings(&self, outer: usize) -> bool {
        let inner = &self.exceptions.clauses[outer..];
        inner.iter().any(|clause| clause.landing.is_some())
    }

    /// Ends the clauses after the first `outer` ones; emits their landings. If there are any, the
    /// current block must be filled.
    pub(super) fn pop_clauses(&mut self, outer: usize) -> Result<()> {
        while self.exceptions.clauses.len() > outer {
            let Some(clause) = self.exceptions.clauses.pop() else {
                break;
            };
            if let Some(landing) = clause.landing {
                self.emit_landing(&clause, landing)?;
            }
        }
        Ok(())
    }

    fn emit_landing(&mut self, clause: &Clause, landing: Block) -> Result<()> {
        codegen::start_block(&mut self.builder, landing);
        let [exception, values] = *self.builder.block_params(landing) else {
            unreachable!("landings are made with two parameters");
        };
        let height = self.stack.len();
        let flags = value_flags(self);
        for (index, ty) in self.tag_types(clause.tag).iter().enumerate() {
            let offset = slot_offset(index);
            let ty = clif_type(*ty);
            let value = self.builder.ins().load(ty, flags, values, offset);
            self.stack.push(value);
        }
        if clause.catch.needs() == CatchNeeds::Reference {
            let reference = self.builder.ins().ireduce(types::I32, exception);
            self.stack.push(reference);
        }
        let destination = self.destination(clause.target)?;
        self.jump(destination, self.stack.len() - height);
        self.stack.truncate(height);
        Ok(())
    }

    /// The values of exceptions with a tag, by the module's index.
    fn tag_types(&self, tag: Option<u32>) -> &'a [CoreType] {
        let module = self.module;
        tag.map_or(&[], |tag| {
            &module.types[module.tags[tag as usize] as usize].params
        })
    }

    fn throw(&mut self, tag: u32) -> Result<()> {
        let definition = self.unit.tags[tag as usize];
        let count = self.tag_types(Some(tag)).len();
        let mut clauses = self.exceptions.clauses.iter().rev();
        if let Some(clause) = clauses.find(|clause| clause.catch.catches(definition))
            && clause.catch.needs() == CatchNeeds::Values
        {
            let (target, values) = (clause.target, clause.tag.map_or(0, |_| count));
            self.stack.truncate(self.stack.len() - count + values);
            let destination = self.destination(target)?;
            self.jump(destination, values);
            self.reachable = false;
            return Ok(());
        }
        self.mark_cold();
        let first = self.stack.len() - count;
        let address = match count {
            0 => self.builder.ins().iconst(types::I64, 0),
            _ => {
                let slot = self.thrown_slot(count as u32);
                self.builder.ins().stack_addr(types::I64, slot, 0)
            }
        };
        let flags = value_flags(self);
        for (index, value) in self.stack.drain(first..).enumerate() {
            let offset = slot_offset(index);
            self.builder.ins().store(flags, value, address, offset);
        }
        let tag = self
            .builder
            .ins()
            .iconst(types::I32, i64::from(definition.0));
        let count = self.builder.ins().iconst(types::I32, count as i64);
        self.throw_builtin(Builtin::Throw, &[tag, address, count])
    }

    /// Room for that many values in the frame.
    fn thrown_slot(&mut self, count: u32) -> StackSlot {
        match self.exceptions.thrown {
            Some((slot, room)) if room >= count => slot,
            _ => {
                let align = EXCEPTION_SLOT.trailing_zeros() as u8;
                let data =
                    StackSlotData::new(StackSlotKind::ExplicitSlot, count * EXCEPTION_SLOT, align);
                let slot = self.builder.create_sized_stack_slot(data);
                self.exceptions.thrown = Some((slot, count));
                slot
            }
        }
    }

    /// Ends the block with a builtin that throws.
    fn throw_builtin(&mut self, builtin: Builtin, args: &[Value]) -> Result<()> {
        self.makes_calls = true;
        let signature = codegen::builtin_signature(builtin);
        let key = FuncKey::Builtin(builtin);
        let callee = codegen::declare_function(self.builder.func, key, signature);
        let mut all = vec![self.context];
        all.extend(args);
        self.emit_throwing_call(Callee::Direct(callee), &all)?;
        // Never reached: tells Cranelift that the block ends here.
        self.builder
            .ins()
            .trap(clif_trap(TrapCode::UncaughtException));
        self.reachable = false;
        Ok(())
    }

    /// Calls what never throws, and pushes the results.
    pub(super) fn emit_call(&mut self, callee: Callee, args: &[Value]) {
        let call = match callee {
            Callee::Direct(function) => self.builder.ins().call(function, args),
            Callee::Indirect(signature, code) => {
                self.builder.ins().call_indirect(signature, code, args)
            }
        };
        self.stack
            .extend_from_slice(self.builder.inst_results(call));
    }

    /// Calls what may throw, and pushes the results.
    ///
    /// # Errors
    /// If the function has too many calls inside too many clauses.
    pub(super) fn emit_throwing_call(&mut self, callee: Callee, args: &[Value]) -> Result<()> {
        if self.exceptions.clauses.is_empty() {
            self.emit_call(callee, args);
            return Ok(());
        }
        let handlers = self.handlers()?;
        let signature = match callee {
            Callee::Direct(function) => self.builder.func.dfg.ext_funcs[function].signature,
            Callee::Indirect(signature, _) => signature,
        };
        let returned = self.builder.create_block();
        let results = self.builder.func.dfg.signatures[signature].returns.clone();
        for result in &results {
            self.builder.append_block_param(returned, result.value_type);
        }
        let dfg = &mut self.builder.func.dfg;
        let passed = (0..results.len() as u32).map(BlockArg::TryCallRet);
        let normal = BlockCall::new(returned, passed, &mut dfg.value_lists);
        let table = ExceptionTableData::new(signature, normal, handlers);
        let table = dfg.exception_tables.push(table);
        match callee {
            Callee::Direct(function) => self.builder.ins().try_call(function, args, table),
            Callee::Indirect(_, code) => self.builder.ins().try_call_indirect(code, args, table),
        };
        codegen::start_block(&mut self.builder, returned);
        self.stack
            .extend_from_slice(self.builder.block_params(returned));
        Ok(())
    }

    /// The exception table of a call here: clauses that no other one hides.
    fn handlers(&mut self) -> Result<Vec<ExceptionTableItem>> {
        let mut seen = HashSet::new();
        let mut handlers = Vec::new();
        for at in (0..self.exceptions.clauses.len()).rev() {
            let clause = &self.exceptions.clauses[at];
            let (catch, tag) = (clause.catch, clause.catch.tag());
            if !seen.insert(tag) {
                continue;
            }
            let landing = match clause.landing {
                Some(landing) => landing,
                None => self.make_landing(at),
            };
            let passed = [0, 1].map(BlockArg::TryCallExn);
            let lists = &mut self.builder.func.dfg.value_lists;
            let call = BlockCall::new(landing, passed, lists);
            let catch_number = ExceptionTag::from_u32(catch.number());
            handlers.push(ExceptionTableItem::Tag(catch_number, call));
            if tag.is_none() {
                break;
            }
        }
        self.exceptions.handlers += handlers.len();
        ensure!(
            self.exceptions.handlers <= MAX_HANDLERS,
            "the function has more than {MAX_HANDLERS} pairs of a call and a clause around it"
        );
        Ok(handlers)
    }

    fn make_landing(&mut self, clause: usize) -> Block {
        let landing = self.builder.create_block();
        self.builder.set_cold_block(landing);
        // The exception's reference and the address of its values.
        self.builder.append_block_param(landing, types::I64);
        self.builder.append_block_param(landing, types::I64);
        self.exceptions.clauses[clause].landing = Some(landing);
        landing
    }
}

/// Flags of accesses to an exception's values.
fn value_flags(t: &mut Translator<'_, '_>) -> MemFlagsData {
    Region::Native.trusted(t.builder.func)
}

/// Where a value is in an exception.
fn slot_offset(index: usize) -> i32 {
    index as i32 * EXCEPTION_SLOT as i32
}
