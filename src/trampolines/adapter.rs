//! Fused adapters: `canon lower` of a function that another component instance lifts.
//!
//! One function does what *canon lower* and *canon lift* of CanonicalABI.md say: it lifts the
//! parameters from the caller and lowers them into the callee value by value, calls the core
//! function, moves the result back the same way, and calls post-return. Two memories that are not
//! the same cannot observe that lifting and lowering alternate: while a value is lowered its
//! instance cannot leave, so nothing changes the other side.
//!
//! An instance that calls its own lifted function can observe it, and then this is not what the
//! Canonical ABI says: both sides share one handle table (of two handles in one call the second is
//! lifted after the first was lowered) and one memory (only strings are copied before they could be
//! overwritten by a `realloc` that returns memory in use). And "borrow handles still remain" is
//! found before the result is lifted, not after.
//!
//! Bookkeeping is emitted only where something can observe it: see `lent_and_given_resources` for
//! lends, `borrows` for borrowed handles, `flags` for `may_leave`. Only code that runs during the
//! call could observe it: what it is is a fact of the program (`layout/reentrance.rs`). Nothing
//! else depends on whether an instance is running when it is called: what a call needs is in its
//! frame, and what is in the store (the arena, lends) is given back in the order of calls.
//!
//! A function of an `async` type is called through the runtime instead (`tasks`), by code that
//! moves values with the same [`Adapter`]; unless nobody could tell the difference
//! ([`CallShape::Plain`]). Then a caller that would go on is told that the call has returned. A
//! function of a synchronous type is called so too if it needs a stack of its own.

use super::borrows::BorrowScope;
use super::cells;
use super::flags::{self, check_may_leave};
use super::transfer::{
    self, Destination, FlatValues, Guest, Place, Shape, Side, Source, Transfer, facts,
};
use crate::codegen::emitter::Emitter;
use crate::codegen::{self, Session};
use crate::layout::Effect;
use crate::program::{CanonicalOptions, LiftedFunction, Program, TrampolineKind};
use anyhow::{Context, Result, bail};
use cranelift_codegen::ir::{self, InstBuilder, Value};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::ids::{ComponentInstanceId, ResourceId, TrampolineId};
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::tasks::SubtaskState;
use trampette_artifact::types::{Type, TypeTable};

/// The wasm-call code of a fused adapter.
///
/// # Errors
/// If the trampoline is of another kind, or its type has values that cannot be transferred yet.
pub(crate) fn adapter(session: &Session<'_>, id: TrampolineId) -> Result<ir::Function> {
    let trampoline = &session.program.trampolines[id];
    let TrampolineKind::Adapter { lift, options, .. } = &trampoline.kind else {
        bail!("{id} is no adapter but `{}`", trampoline.kind.name());
    };
    let key = FuncKey::ComponentTrampoline(Abi::Wasm, id);
    let signature = codegen::wasm_call_signature(&trampoline.signature);
    Emitter::build(session, key, signature, |e, params| {
        let mut results = Adapter::new(session.program, lift, options)
            .emit(e, params)
            .with_context(|| {
                let name = |instance: ComponentInstanceId| {
                    &session.program.component_instances[instance].name
                };
                let (callee, caller) = (name(lift.options.instance), name(options.instance));
                format!("cannot adapt `{}` of `{callee}` to `{caller}`", lift.name)
            })?;
        if options.waiting.is_async() {
            results.push(e.i32(SubtaskState::Returned as u32));
        }
        e.builder.ins().return_(&results);
        Ok(())
    })
}

/// How values and control move between the two sides of a call.
pub(super) struct Adapter<'p> {
    program: &'p Program<'p>,
    lift: &'p LiftedFunction,
    caller: Guest<'p>,
    callee: Guest<'p>,
    param_types: Vec<Type>,
}

impl<'p> Adapter<'p> {
    pub(super) fn new(
        program: &'p Program<'p>,
        lift: &'p LiftedFunction,
        options: &'p CanonicalOptions,
    ) -> Self {
        Adapter {
            program,
            lift,
            caller: Guest::new(options),
            callee: Guest::new(&lift.options),
            param_types: lift.ty.params.iter().map(|param| param.ty).collect(),
        }
    }

    /// Emits everything but the return; gives the flat results.
    fn emit(&self, e: &mut Emitter<'_, '_>, params: Vec<Value>) -> Result<Vec<Value>> {
        let (caller, callee) = (self.caller.instance(), self.callee.instance());
        check_may_leave(e, caller);
        if self.is_among_tasks(e) {
            return self.emit_among_tasks(e, params);
        }
        // Where no code of the caller runs during the call, which might drop or pass on what is
        // lent, only parameters can see lends, that pass on ownership of what was lent before.
        let types = &self.program.types;
        let lends = match e.session.layout.reentrance.can_call_back(caller, callee) {
            true => facts::borrowed_resources(types, &self.param_types),
            false => facts::lent_and_given_resources(types, &self.param_types),
        };
        let lend_mark = match lends.is_empty() {
            true => None,
            false => e.builtin(Builtin::LendMark, &[]),
        };
        let arena_mark = self.begin_arena(e);
        let borrows = facts::lowers_borrows(self.program, &self.param_types, callee)
            .then(|| BorrowScope::begin(e, callee));

        let mut params = FlatValues::new(params);
        let args = self.pass_params(e, &mut params, lends, borrows)?;
        let saved = cells::begin_call(e, callee, &self.lift.callees(), None);
        let flat = e.call_core(self.lift.func, &self.lift.signature, &args);
        if let Some(borrows) = borrows {
            borrows.trap_if_any_remain(e);
        }
        let results = self.pass_result(e, flat.clone(), params)?;
        self.end_arena(e, arena_mark);
        call_post_return(e, self.lift, &flat);
        cells::end_call(e, saved);
        if let Some(mark) = lend_mark {
            e.builtin(Builtin::LendRelease, &[mark]);
        }
        Ok(results)
    }

    /// Whether tasks run beside this call or keep its books: its callee can wait, or be named by
    /// others, or handles are lent or given for the length of the call in a component with an
    /// asynchronous part.
    fn is_among_tasks(&self, e: &Emitter<'_, '_>) -> bool {
        let callee = self.callee.instance();
        let types = &self.program.types;
        let effect = || {
            e.session
                .layout
                .effects
                .of_call(callee, &self.lift.callees())
        };
        cells::is_concurrent(e)
            && (!facts::borrowed_resources(types, &self.param_types).is_empty()
                || e.session.layout.effects.switches(callee)
                || effect().has(Effect::BLOCKS))
    }

    /// [`Adapter::emit`] where tasks run besides. The core function may have to wait, and others
    /// run meanwhile: nothing that is given back in the order of calls is held across it, and every
    /// lend can be seen.
    fn emit_among_tasks(&self, e: &mut Emitter<'_, '_>, params: Vec<Value>) -> Result<Vec<Value>> {
        let callee = self.callee.instance();
        let lends = facts::borrowed_resources(&self.program.types, &self.param_types);
        let borrows = facts::lowers_borrows(self.program, &self.param_types, callee);
        let record = (!lends.is_empty() || borrows).then(|| cells::new_record(e, callee));
        let borrows = record
            .filter(|_| borrows)
            .map(|record| BorrowScope::of_record(e, callee, record));
        let lend_mark = match record {
            Some(_) => e.builtin(Builtin::LendMark, &[]),
            None => None,
        };

        let mut params = FlatValues::new(params);
        let arena_mark = self.begin_arena(e);
        let args = self.pass_params(e, &mut params, lends, borrows)?;
        self.end_arena(e, arena_mark);
        if let Some((record, mark)) = record.zip(lend_mark) {
            e.builtin(Builtin::CallLends, &[record, mark]);
        }
        let saved = cells::begin_call(e, callee, &self.lift.callees(), record);
        let flat = e.call_core(self.lift.func, &self.lift.signature, &args);
        let arena_mark = self.begin_arena(e);
        let results = self.pass_result(e, flat.clone(), params)?;
        self.end_arena(e, arena_mark);
        call_post_return(e, self.lift, &flat);
        cells::end_call(e, saved);
        if let Some(record) = record {
            e.builtin(Builtin::CallEnd, &[record]);
        }
        Ok(results)
    }

    /// The arena's mark before values are moved, if that takes anything from it.
    pub(super) fn begin_arena(&self, e: &mut Emitter<'_, '_>) -> Option<Value> {
        match self.uses_arena() {
            true => e.builtin(Builtin::ArenaMark, &[]),
            false => None,
        }
    }

    /// Gives back what was taken since.
    pub(super) fn end_arena(&self, e: &mut Emitter<'_, '_>, mark: Option<Value>) {
        if let Some(mark) = mark {
            e.builtin(Builtin::ArenaReset, &[mark]);
        }
    }

    /// Whether strings go through the arena: within one memory.
    fn uses_arena(&self) -> bool {
        let types = &self.program.types;
        let mut all = self.param_types.iter().chain(&self.lift.ty.result);
        self.caller.shares_memory(self.callee) && all.any(|ty| facts::contains_string(types, *ty))
    }

    /// Moves the parameters; returns the core function's arguments.
    pub(super) fn pass_params(
        &self,
        e: &mut Emitter<'_, '_>,
        params: &mut FlatValues,
        lends: Vec<ResourceId>,
        borrows: Option<BorrowScope>,
    ) -> Result<Vec<Value>> {
        let types = &self.program.types;
        let (from, to) = (Side::Guest(self.caller), Side::Guest(self.callee));
        let tuple = Shape::Tuple(self.param_types.clone());
        let spilled_from = match facts::flat_lowered_params(types, &self.param_types, self.caller) {
            true => None,
            false => {
                let layout = from.size_align(types, &tuple);
                let pointer = params.take();
                Some(transfer::checked_tuple(e, self.caller, pointer, layout)?)
            }
        };
        let spills = !facts::flat_params(types, &self.param_types, self.callee);
        let calls_realloc = spills || contain_pointer(types, &self.param_types);
        let saved = calls_realloc.then(|| flags::forbid_leaving(e, self.callee.instance()));

        let mut args = Vec::new();
        let mut destination = match spills {
            false => Destination::Flat(&mut args),
            true => {
                let layout = to.size_align(types, &tuple);
                let block = transfer::allocate_tuple(e, self.callee, layout)?;
                args.push(block.core_pointer(e, self.callee));
                Destination::Guest(Place::new(block.address))
            }
        };
        let mut source = match spilled_from {
            Some(address) => Source::Guest(Place::new(address)),
            None => Source::Flat(params),
        };
        let mut transfer = Transfer::new(e, from, to)?;
        transfer.observe_lends(lends);
        transfer.count_borrows(borrows);
        transfer.all(&tuple, &mut source, &mut destination)?;
        if let Some(saved) = saved {
            flags::restore_flags(e, saved);
        }
        Ok(args)
    }

    /// Moves the result; returns the flat one, if it is flat. `params` has the pointer to where it
    /// goes left, if it is not.
    pub(super) fn pass_result(
        &self,
        e: &mut Emitter<'_, '_>,
        flat: Vec<Value>,
        mut params: FlatValues,
    ) -> Result<Vec<Value>> {
        let Some(ty) = self.lift.ty.result else {
            return Ok(Vec::new());
        };
        let types = &self.program.types;
        let (from, to) = (Side::Guest(self.callee), Side::Guest(self.caller));
        let shape = Shape::Value(ty);
        let mut values;
        let mut source = match facts::flat_lifted_result(types, ty, self.callee) {
            true => {
                values = FlatValues::new(flat);
                Source::Flat(&mut values)
            }
            false => {
                let layout = from.size_align(types, &shape);
                let address = transfer::checked_tuple(e, self.callee, flat[0], layout)?;
                Source::Guest(Place::new(address))
            }
        };
        let mut results = Vec::new();
        let mut destination = match facts::flat_lowered_result(types, ty, self.caller) {
            true => Destination::Flat(&mut results),
            false => {
                let layout = to.size_align(types, &shape);
                let address = transfer::checked_tuple(e, self.caller, params.take(), layout)?;
                Destination::Guest(Place::new(address))
            }
        };
        let calls_realloc = contain_pointer(types, &[ty]);
        let saved = calls_realloc.then(|| flags::forbid_leaving(e, self.caller.instance()));
        let mut transfer = Transfer::new(e, from, to)?;
        transfer.all(&shape, &mut source, &mut destination)?;
        if let Some(saved) = saved {
            flags::restore_flags(e, saved);
        }
        Ok(results)
    }
}

/// Calls the post-return function of a lift, if it has one, with the flat results.
pub(super) fn call_post_return(e: &mut Emitter<'_, '_>, lift: &LiftedFunction, flat: &[Value]) {
    let Some(post_return) = lift.options.post_return else {
        return;
    };
    let signature = lift.signature.post_return();
    let saved = flags::forbid_leaving(e, lift.options.instance);
    e.call_core(post_return, &signature, flat);
    flags::restore_flags(e, saved);
}

fn contain_pointer(types: &TypeTable, all: &[Type]) -> bool {
    all.iter().any(|ty| facts::contains_pointer(types, *ty))
}
