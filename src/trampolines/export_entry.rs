//! `canon lift` of an exported function, called by the host: lowers the native parameters, calls
//! the core function, lifts its result; and what runs after the host has read the result.
//!
//! CanonicalABI.md, *canon lift*. These are the wasm-call bodies; the native-call wrappers around
//! them enter and leave guest code, and refuse to while the component runs.

use super::borrows::BorrowScope;
use super::cells;
use super::entry::body_signature;
use super::flags;
use super::lower_import::native_struct;
use super::transfer::{
    self, Destination, FlatValues, Guest, Place, Shape, Side, Source, Transfer, facts,
};
use crate::codegen::emitter::Emitter;
use crate::codegen::values::{from_bits, to_bits};
use crate::codegen::{self, Session};
use crate::program::LiftedFunction;
use anyhow::{Context, Result};
use cranelift_codegen::ir::{self, InstBuilder, Value, types};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::ids::{ExportId, ResourceId};
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::layout::root;
use trampette_artifact::metadata::Resource;
use trampette_artifact::native;
use trampette_artifact::types::{Type, TypeTable};

/// The wasm-call body of a lifted export: `tail fn(ctx, args, results)`, pointers to the
/// native-layout structs of the parameters and the result.
///
/// Afterwards the result is valid until [`post_return_body`] runs, or until the next call if the
/// export has none.
///
/// # Errors
/// If its type has values that cannot be transferred yet.
pub(crate) fn export_body(session: &Session<'_>, id: ExportId) -> Result<ir::Function> {
    let lift = &session.program.lifts[id];
    let key = FuncKey::ExportEntry(Abi::Wasm, id);
    let signature = codegen::wasm_call_signature(&body_signature(key)?);
    Emitter::build(session, key, signature, |e, params| {
        let lifting = Lifting::new(lift, &session.program.types);
        lifting
            .emit(e, params[0], params[1])
            .with_context(|| format!("cannot lift the export `{}`", lift.name))?;
        e.builder.ins().return_(&[]);
        Ok(())
    })
}

/// The wasm-call body of what runs after an export's result was read: `tail fn(ctx)`. Calls the
/// post-return function, if there is one, and gives back what the result took from the arena.
///
/// # Errors
/// None at present; the result is uniform over all producers.
pub(crate) fn post_return_body(session: &Session<'_>, id: ExportId) -> Result<ir::Function> {
    let lift = &session.program.lifts[id];
    let key = FuncKey::PostReturn(Abi::Wasm, id);
    let signature = codegen::wasm_call_signature(&body_signature(key)?);
    Emitter::build(session, key, signature, |e, _| {
        let lifting = Lifting::new(lift, &session.program.types);
        lifting.emit_post_return(e);
        e.builder.ins().return_(&[]);
        Ok(())
    })
}

/// How values move between the host and a lifted function.
pub(super) struct Lifting<'p> {
    lift: &'p LiftedFunction,
    guest: Guest<'p>,
    param_types: Vec<Type>,
    /// Whether the result takes memory from the arena, which lives until post-return.
    result_uses_arena: bool,
}

impl<'p> Lifting<'p> {
    pub(super) fn new(lift: &'p LiftedFunction, types: &TypeTable) -> Self {
        let guest = Guest::new(&lift.options);
        let param_types = lift.ty.params.iter().map(|param| param.ty).collect();
        let mut result = lift.ty.result.iter();
        let uses_arena = result.any(|ty| facts::uses_arena(types, *ty, guest));
        // Without a post-return function the runtime gives it back.
        let result_uses_arena = uses_arena && lift.options.post_return.is_some();
        Lifting {
            lift,
            guest,
            param_types,
            result_uses_arena,
        }
    }

    fn emit(&self, e: &mut Emitter<'_, '_>, args: Value, results: Value) -> Result<()> {
        if self.result_uses_arena {
            let mark = e.value_of(Builtin::ArenaMark, &[]);
            e.store_root(mark, root::POST_RETURN_ARENA_MARK);
        }
        let (program, instance) = (e.session.program, self.guest.instance());
        let mut lends = match cells::is_concurrent(e) {
            true => facts::borrowed_resources(&program.types, &self.param_types),
            false => facts::lent_and_given_resources(&program.types, &self.param_types),
        };
        // Of the host's own resources it has no handles that could be lent.
        lends.retain(|resource| {
            matches!(program.resources[*resource].info, Resource::Defined { .. })
        });
        let lend_mark = (!lends.is_empty()).then(|| e.value_of(Builtin::LendMark, &[]));
        let borrows = facts::lowers_borrows(program, &self.param_types, instance);
        let record = (cells::is_concurrent(e) && (lend_mark.is_some() || borrows))
            .then(|| cells::new_record(e, instance));
        let borrows = borrows.then(|| match record {
            Some(record) => BorrowScope::of_record(e, instance, record),
            None => BorrowScope::begin(e, instance),
        });
        let flat_args = self.lower_params(e, args, lends, borrows)?;
        if let Some((record, mark)) = record.zip(lend_mark) {
            e.builtin(Builtin::CallLends, &[record, mark]);
        }
        let saved = cells::begin_call(e, instance, &self.lift.callees(), record);
        let flat_results = e.call_core(self.lift.func, &self.lift.signature, &flat_args);
        if let Some(value) = flat_results.first()
            && self.lift.options.post_return.is_some()
        {
            let value = to_bits(e, *value);
            e.store_root(value, root::POST_RETURN_VALUE);
        }
        self.lift_result(e, flat_results, results)?;
        match self.lift.options.post_return {
            Some(_) => cells::end_call_but_slots(e, saved),
            None => cells::end_call(e, saved),
        }
        if let Some(record) = record {
            e.builtin(Builtin::CallEnd, &[record]);
            return Ok(());
        }
        if let Some(borrows) = borrows {
            borrows.trap_if_any_remain(e);
        }
        if let Some(mark) = lend_mark {
            e.builtin(Builtin::LendRelease, &[mark]);
        }
        Ok(())
    }

    /// Lowers the native parameters; returns the core function's arguments.
    pub(super) fn lower_params(
        &self,
        e: &mut Emitter<'_, '_>,
        args: Value,
        lends: Vec<ResourceId>,
        borrows: Option<BorrowScope>,
    ) -> Result<Vec<Value>> {
        let component_types = &e.session.program.types;
        let to = Side::Guest(self.guest);
        let tuple = Shape::Tuple(self.param_types.clone());
        let pointers = |ty: &Type| facts::contains_pointer(component_types, *ty);
        let spills = !facts::flat_params(component_types, &self.param_types, self.guest);
        let calls_guest = spills || self.param_types.iter().any(pointers);
        let saved = calls_guest.then(|| flags::forbid_leaving(e, self.guest.instance()));

        let mut flat = Vec::new();
        let mut destination = match spills {
            false => Destination::Flat(&mut flat),
            true => {
                let layout = to.size_align(component_types, &tuple);
                let block = transfer::allocate(e, self.guest, layout)?;
                flat.push(block.core_pointer(e, self.guest));
                Destination::Guest(Place::new(block.address))
            }
        };
        let mut transfer = Transfer::new(e, Side::Host, to)?;
        transfer.observe_lends(lends);
        transfer.count_borrows(borrows);
        let mut source = Source::Native(Place::new(args));
        transfer.all(&tuple, &mut source, &mut destination)?;
        if let Some(saved) = saved {
            flags::restore_flags(e, saved);
        }
        Ok(flat)
    }

    /// Lifts the core function's results into the native struct.
    fn lift_result(&self, e: &mut Emitter<'_, '_>, flat: Vec<Value>, results: Value) -> Result<()> {
        let Some(ty) = self.lift.ty.result else {
            return Ok(());
        };
        let component_types = &e.session.program.types;
        let from = Side::Guest(self.guest);
        let mut values;
        let mut source = match facts::flat_lifted_result(component_types, ty, self.guest) {
            true => {
                values = FlatValues::new(flat);
                Source::Flat(&mut values)
            }
            false => {
                let layout = from.size_align(component_types, &Shape::Value(ty));
                let address = transfer::checked_tuple(e, self.guest, flat[0], layout)?;
                Source::Guest(Place::new(address))
            }
        };
        let mut transfer = Transfer::new(e, from, Side::Host)?;
        let mut destination = Destination::Native(Place::new(results));
        transfer.all(&Shape::Value(ty), &mut source, &mut destination)
    }

    /// Lifts the result of a task into a native struct in the frame; returns its address.
    pub(super) fn lift_result_anew(
        &self,
        e: &mut Emitter<'_, '_>,
        flat: Vec<Value>,
    ) -> Result<Value> {
        let Some(ty) = self.lift.ty.result else {
            // Aligned and not null, and nothing is read there.
            return Ok(e.context);
        };
        let layout = native::size_align(&e.session.program.types, ty);
        let results = native_struct(e, layout)?;
        self.lift_result(e, flat, results)?;
        Ok(results)
    }

    fn emit_post_return(&self, e: &mut Emitter<'_, '_>) {
        if let Some(post_return) = self.lift.options.post_return {
            let signature = self.lift.signature.post_return();
            let mut args = Vec::new();
            if let Some(ty) = signature.params.first() {
                let bits = e.load_root(types::I64, root::POST_RETURN_VALUE);
                args.push(from_bits(e, bits, codegen::clif_type(*ty)));
            }
            let saved = flags::forbid_leaving(e, self.guest.instance());
            e.call_core(post_return, &signature, &args);
            flags::restore_flags(e, saved);
            cells::clear_slots(e, self.guest.instance(), &self.lift.callees());
        }
        if self.result_uses_arena {
            let mark = e.load_root(types::I64, root::POST_RETURN_ARENA_MARK);
            e.builtin(Builtin::ArenaReset, &[mark]);
        }
    }
}
