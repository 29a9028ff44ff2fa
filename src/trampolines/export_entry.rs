//! `canon lift` of an exported function, called by the host: lowers the native parameters, calls the
//! core function, lifts its result; and what runs after the host has read the result.
//!
//! CanonicalABI.md, *canon lift*. These are the wasm-call bodies; the native-call wrappers around
//! them enter and leave guest code, and refuse to while the component runs.

use super::borrows::BorrowScope;
use super::flags;
use super::transfer::{
    self, Destination, FlatValues, Guest, Place, Shape, Side, Source, Transfer, facts,
};
use crate::codegen::emitter::Emitter;
use crate::codegen::{self, Session};
use crate::program::LiftedFunction;
use crate::program::module::{CoreSignature, CoreType};
use anyhow::{Context, Result};
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, Value, types};
use cranelift_frontend::FunctionBuilderContext;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::canonical::{
    Flat, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, PointerWidth, flatten_all,
};
use trampette_artifact::ids::ExportId;
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::layout::root;
use trampette_artifact::metadata::Resource;
use trampette_artifact::types::{Type, TypeTable};

/// The wasm-call body of a lifted export: `tail fn(ctx, args, results)`, pointers to the native-layout
/// structs of the parameters and the result.
///
/// Afterwards the result is valid until [`post_return_body`] runs, or until the next call if the export has
/// none.
///
/// # Errors
/// If its type has values that cannot be transferred yet.
pub(crate) fn export_body(session: &Session<'_>, id: ExportId) -> Result<ir::Function> {
    let lift = &session.program.lifts[id.index()];
    let signature = CoreSignature {
        params: vec![CoreType::I64; 2].into(),
        results: Vec::new().into(),
    };
    let key = FuncKey::ExportEntry(Abi::Wasm, id);
    let mut func = codegen::new_function(key, codegen::wasm_call_signature(&signature));
    codegen::set_stack_limit(&mut func);
    let mut builder_context = FunctionBuilderContext::new();
    let (mut e, params) = Emitter::new(session, &mut func, &mut builder_context);
    let lifting = Lifting::new(lift, &session.program.types);
    lifting
        .emit(&mut e, params[0], params[1])
        .with_context(|| format!("cannot lift the export `{}`", lift.name))?;
    e.builder.ins().return_(&[]);
    e.finish();
    Ok(func)
}

/// The wasm-call body of what runs after an export's result was read: `tail fn(ctx)`. Calls the
/// post-return function, if there is one, and gives back what the result took from the arena.
///
/// # Errors
/// None at present; the type leaves room for options that cannot be compiled.
pub(crate) fn post_return_body(session: &Session<'_>, id: ExportId) -> Result<ir::Function> {
    let lift = &session.program.lifts[id.index()];
    let key = FuncKey::PostReturn(Abi::Wasm, id);
    let signature = codegen::wasm_call_signature(&CoreSignature::default());
    let mut func = codegen::new_function(key, signature);
    codegen::set_stack_limit(&mut func);
    let mut builder_context = FunctionBuilderContext::new();
    let (mut e, _) = Emitter::new(session, &mut func, &mut builder_context);
    let lifting = Lifting::new(lift, &session.program.types);
    lifting.emit_post_return(&mut e);
    e.builder.ins().return_(&[]);
    e.finish();
    Ok(func)
}

struct Lifting<'p> {
    lift: &'p LiftedFunction,
    guest: Guest<'p>,
    param_types: Vec<Type>,
    /// Flat parameters; `None` if they are passed in memory.
    params: Option<Vec<Flat>>,
    /// Flat results; `None` if they are returned in memory.
    results: Option<Vec<Flat>>,
    /// Whether the result takes memory from the arena, which lives until post-return.
    result_uses_arena: bool,
}

impl<'p> Lifting<'p> {
    fn new(lift: &'p LiftedFunction, types: &TypeTable) -> Self {
        let guest = Guest::new(&lift.options);
        let width = guest.width();
        let param_types: Vec<Type> = lift.ty.params.iter().map(|param| param.ty).collect();
        let all = param_types.iter().copied();
        let params = flatten_all(types, all, width, MAX_FLAT_PARAMS);
        let results = flatten_all(types, lift.ty.result, width, MAX_FLAT_RESULTS);
        let mut result = lift.ty.result.iter();
        let uses_arena = result.any(|ty| facts::uses_arena(types, *ty, guest));
        // Without a post-return function the runtime gives it back.
        let result_uses_arena = uses_arena && lift.options.post_return.is_some();
        Lifting {
            lift,
            guest,
            param_types,
            params,
            results,
            result_uses_arena,
        }
    }

    fn pointer_type(&self) -> CoreType {
        match self.guest.width() {
            PointerWidth::P32 => CoreType::I32,
            PointerWidth::P64 => CoreType::I64,
        }
    }

    /// `flatten_functype` for `lift`.
    fn signature(&self) -> CoreSignature {
        let core = |flat: &Option<Vec<Flat>>| match flat {
            Some(flat) => flat.iter().map(|ty| core_type(*ty)).collect(),
            None => vec![self.pointer_type()].into(),
        };
        CoreSignature {
            params: core(&self.params),
            results: core(&self.results),
        }
    }

    fn emit(&self, e: &mut Emitter<'_, '_>, args: Value, results: Value) -> Result<()> {
        if self.result_uses_arena {
            let mark = e.builtin(Builtin::ArenaMark, &[]).expect("it has a result");
            e.store_root(mark, root::POST_RETURN_ARENA_MARK);
        }
        let borrows = self
            .lowers_borrows(e)
            .then(|| BorrowScope::begin(e, self.guest.instance()));
        let flat_args = self.lower_params(e, args, borrows)?;
        let flat_results = e.call_core(self.lift.func, &self.signature(), &flat_args);
        if let Some(value) = flat_results.first()
            && self.lift.options.post_return.is_some()
        {
            let value = to_bits(e, *value);
            e.store_root(value, root::POST_RETURN_VALUE);
        }
        self.lift_result(e, flat_results, results)?;
        if let Some(borrows) = borrows {
            borrows.trap_if_any_remain(e);
        }
        Ok(())
    }

    /// Whether lowering the parameters adds borrowed handles to the instance's table.
    fn lowers_borrows(&self, e: &Emitter<'_, '_>) -> bool {
        let program = e.session.program;
        let instance = self.lift.options.instance;
        let borrowed = facts::borrowed_resources(&program.types, &self.param_types);
        borrowed.iter().any(|resource| {
            !matches!(
                program.resources[resource.index()].info,
                Resource::Defined { instance: definer, .. } if definer == instance
            )
        })
    }

    /// Lowers the native parameters; returns the core function's arguments.
    fn lower_params(
        &self,
        e: &mut Emitter<'_, '_>,
        args: Value,
        borrows: Option<BorrowScope>,
    ) -> Result<Vec<Value>> {
        let component_types = &e.session.program.types;
        let to = Side::Guest(self.guest);
        let tuple = Shape::Tuple(self.param_types.clone());
        let pointers = |ty: &Type| facts::contains_pointer(component_types, *ty);
        let calls_guest = self.params.is_none() || self.param_types.iter().any(pointers);
        let saved = calls_guest.then(|| flags::forbid_leaving(e, self.guest.instance()));

        let mut flat = Vec::new();
        let mut destination = match self.params {
            Some(_) => Destination::Flat(&mut flat),
            None => {
                let layout = to.size_align(component_types, &tuple);
                let bytes = e.i64(i64::from(layout.size));
                let block = transfer::allocate(e, self.guest, layout.align, bytes)?;
                flat.push(block.core_pointer(e, self.guest));
                Destination::Guest(Place::new(block.address))
            }
        };
        let mut transfer = Transfer::new(e, Side::Host, to)?;
        transfer.count_borrows(borrows);
        let mut source = Source::Native(Place::new(args));
        transfer.shape(&tuple, &mut source, &mut destination)?;
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
        let mut source = match self.results {
            Some(_) => {
                values = FlatValues::new(flat);
                Source::Flat(&mut values)
            }
            None => {
                let layout = from.size_align(component_types, &Shape::Value(ty));
                let address = transfer::checked_tuple(e, self.guest, flat[0], layout)?;
                Source::Guest(Place::new(address))
            }
        };
        let mut transfer = Transfer::new(e, from, Side::Host)?;
        let mut destination = Destination::Native(Place::new(results));
        transfer.value(ty, &mut source, &mut destination)
    }

    fn emit_post_return(&self, e: &mut Emitter<'_, '_>) {
        if let Some(post_return) = self.lift.options.post_return {
            let signature = CoreSignature {
                params: self.signature().results,
                results: Vec::new().into(),
            };
            let mut args = Vec::new();
            if let Some(ty) = signature.params.first() {
                let bits = e.load_root(types::I64, root::POST_RETURN_VALUE);
                args.push(from_bits(e, bits, codegen::clif_type(*ty)));
            }
            let saved = flags::forbid_leaving(e, self.guest.instance());
            e.call_core(post_return, &signature, &args);
            flags::restore_flags(e, saved);
        }
        if self.result_uses_arena {
            let mark = e.load_root(types::I64, root::POST_RETURN_ARENA_MARK);
            e.builtin(Builtin::ArenaReset, &[mark]);
        }
    }
}

/// A core value as 64 bits.
fn to_bits(e: &mut Emitter<'_, '_>, value: Value) -> Value {
    let raw = MemFlagsData::new();
    let ty = e.builder.func.dfg.value_type(value);
    let value = match ty {
        types::F32 => e.builder.ins().bitcast(types::I32, raw, value),
        types::F64 => e.builder.ins().bitcast(types::I64, raw, value),
        _ => value,
    };
    match e.builder.func.dfg.value_type(value) {
        types::I32 => e.builder.ins().uextend(types::I64, value),
        _ => value,
    }
}

/// The inverse of [`to_bits`].
fn from_bits(e: &mut Emitter<'_, '_>, bits: Value, ty: ir::Type) -> Value {
    let raw = MemFlagsData::new();
    let bits = match ty.bits() {
        32 => e.builder.ins().ireduce(types::I32, bits),
        _ => bits,
    };
    match ty {
        types::F32 | types::F64 => e.builder.ins().bitcast(ty, raw, bits),
        _ => bits,
    }
}

fn core_type(flat: Flat) -> CoreType {
    match flat {
        Flat::I32 => CoreType::I32,
        Flat::I64 => CoreType::I64,
        Flat::F32 => CoreType::F32,
        Flat::F64 => CoreType::F64,
    }
}
