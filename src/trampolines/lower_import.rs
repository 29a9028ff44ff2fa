//! `canon lower` of a function imported from the host: lifts the parameters into a native struct,
//! calls the host function, lowers its result.
//!
//! CanonicalABI.md, *canon lower*. No handle that was lent can be dropped while the host runs,
//! since the component is locked until the host's call of it ends; so lends are recorded only if
//! the parameters can pass on ownership of a resource after lending it.
//!
//! A host function of an `async` type may say that it is not done. Then a caller that waits is
//! suspended here, with the native struct of the result in its frame; one that goes on gets a
//! subtask, and [`import_result`] lowers what the host came to, when it does. For one that is done
//! when it returns there is nothing to wait for, and no subtask.

use super::entry::body_signature;
use super::flags::{self, check_may_leave};
use super::transfer::{
    self, Destination, FlatValues, Guest, Place, Shape, Side, Source, Transfer, facts,
};
use crate::codegen::emitter::Emitter;
use crate::codegen::values::{from_bits, to_bits};
use crate::codegen::{self, Session};
use crate::program::module::CoreType;
use crate::program::{CanonicalOptions, TrampolineKind};
use anyhow::{Context, Result, bail, ensure};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, BlockArg, InstBuilder, Value, types};
use std::mem::offset_of;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::canonical::SizeAlign;
use trampette_artifact::ids::{HostCallId, ImportId, ResourceId, TrampolineId};
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::layout::{HOST_PENDING, ImportSlot, RootOffset, root};
use trampette_artifact::native;
use trampette_artifact::tasks::{SubtaskState, TaskRecord};
use trampette_artifact::trap::TrapCode;
use trampette_artifact::types::{FuncType, Type};

/// Largest native struct of parameters or results kept on the stack; larger ones are refused. Only
/// fixed-length lists make such types.
const STACK_STRUCT_LIMIT: u64 = 256 << 10;

/// The wasm-call code of a lowered import.
///
/// # Errors
/// If the trampoline is of another kind, or its type has values that cannot be transferred yet.
pub(crate) fn lower_import(session: &Session<'_>, id: TrampolineId) -> Result<ir::Function> {
    let trampoline = &session.program.trampolines[id];
    let TrampolineKind::LowerImport {
        import,
        ty,
        options,
    } = &trampoline.kind
    else {
        bail!("{id} is no lowered import but `{}`", trampoline.kind.name());
    };
    let path = &session.program.imports[*import].path;
    let key = FuncKey::ComponentTrampoline(Abi::Wasm, id);
    let signature = codegen::wasm_call_signature(&trampoline.signature);
    Emitter::build(session, key, signature, |e, params| {
        let host_calls = session.layout.host_calls.as_slice();
        let host_call = host_calls.binary_search(&id).ok().map(HostCallId::new);
        let lowering = Lowering::new(*import, ty, options, host_call);
        let results = lowering
            .emit(e, params)
            .with_context(|| format!("cannot lower the import `{}`", path.join("#")))?;
        let results = match options.waiting.is_async() {
            // The host is done, so there is no subtask.
            true => vec![e.i32(SubtaskState::Returned as u32)],
            false => results,
        };
        e.builder.ins().return_(&results);
        Ok(())
    })
}

/// The wasm-call body of what lowers the result of a host function that was not done when it was
/// called: `tail fn(ctx, record, native)`.
///
/// # Errors
/// If there is no such call, or its type has values that cannot be transferred yet.
pub(crate) fn import_result(session: &Session<'_>, id: HostCallId) -> Result<ir::Function> {
    let key = FuncKey::ImportResult(Abi::Wasm, id);
    let signature = codegen::wasm_call_signature(&body_signature(key)?);
    let trampoline = session.layout.host_calls.get(id);
    let trampoline = trampoline.map(|id| &session.program.trampolines[*id].kind);
    let Some(TrampolineKind::LowerImport {
        import,
        ty,
        options,
    }) = trampoline
    else {
        bail!("{key} is of no lowered import");
    };
    Emitter::build(session, key, signature, |e, params| {
        let lowering = Lowering::new(*import, ty, options, Some(id));
        let flags = e.native_flags();
        let offset = offset_of!(TaskRecord, results) as i32;
        let bits = e.builder.ins().load(types::I64, flags, params[0], offset);
        let pointer = codegen::clif_type(CoreType::pointer(options.width()));
        let pointer = from_bits(e, bits, pointer);
        lowering.lower_result(e, Guest::new(options), params[1], Some(pointer))?;
        e.builder.ins().return_(&[]);
        Ok(())
    })
}

struct Lowering<'p> {
    import: ImportId,
    ty: &'p FuncType,
    options: &'p CanonicalOptions,
    param_types: Vec<Type>,
    /// If its type is `async`.
    host_call: Option<HostCallId>,
}

/// What is given back when a call of the host is over, as far as it is needed.
#[derive(Clone, Copy)]
struct Marks {
    arena: Option<Value>,
    lends: Option<Value>,
}

impl Marks {
    /// Where the arena and the list of lends are now. A caller that has waited finds both at
    /// another place than before.
    fn again(self, e: &mut Emitter<'_, '_>) -> Marks {
        Marks {
            arena: self.arena.map(|_| e.value_of(Builtin::ArenaMark, &[])),
            lends: self.lends.map(|_| e.value_of(Builtin::LendMark, &[])),
        }
    }

    fn values(self) -> impl Iterator<Item = Value> {
        self.arena.into_iter().chain(self.lends)
    }
}

impl<'p> Lowering<'p> {
    fn new(
        import: ImportId,
        ty: &'p FuncType,
        options: &'p CanonicalOptions,
        host_call: Option<HostCallId>,
    ) -> Self {
        Lowering {
            import,
            ty,
            options,
            param_types: ty.params.iter().map(|param| param.ty).collect(),
            host_call,
        }
    }

    /// Emits everything but the return; gives the flat results.
    fn emit(&self, e: &mut Emitter<'_, '_>, params: Vec<Value>) -> Result<Vec<Value>> {
        let component_types = &e.session.program.types;
        let guest = Guest::new(self.options);
        check_may_leave(e, self.options.instance);

        let uses_arena = self
            .param_types
            .iter()
            .any(|ty| facts::uses_arena(component_types, *ty, guest));
        let arena = uses_arena.then(|| e.value_of(Builtin::ArenaMark, &[]));
        let lends = match self.host_call {
            // The component may run before the host is done.
            Some(_) => facts::borrowed_resources(component_types, &self.param_types),
            None => facts::lent_and_given_resources(component_types, &self.param_types),
        };
        let marks = Marks {
            arena,
            lends: (!lends.is_empty()).then(|| e.value_of(Builtin::LendMark, &[])),
        };

        let mut params = FlatValues::new(params);
        let args = self.lift_params(e, guest, &mut params, lends)?;
        let results = match self.ty.result {
            Some(ty) => native_struct(e, native::size_align(component_types, ty))?,
            None => no_struct(e),
        };
        let spilled = |ty| !facts::flat_lowered_result(component_types, ty, guest);
        let pointer = self.ty.result.is_some_and(spilled).then(|| params.take());
        let marks = self.call_host(e, args, results, pointer, marks);
        let flat = self.lower_result(e, guest, results, pointer)?;
        // Last, since the host may have put its results there too.
        if let Some(mark) = marks.arena {
            e.builtin(Builtin::ArenaReset, &[mark]);
        }
        if let Some(mark) = marks.lends {
            e.builtin(Builtin::LendRelease, &[mark]);
        }
        Ok(flat)
    }

    /// Lifts the parameters; returns the address of their native struct.
    fn lift_params(
        &self,
        e: &mut Emitter<'_, '_>,
        guest: Guest<'_>,
        params: &mut FlatValues,
        lends: Vec<ResourceId>,
    ) -> Result<Value> {
        let component_types = &e.session.program.types;
        let spilled = !facts::flat_lowered_params(component_types, &self.param_types, guest);
        let layout = native::record_layout(component_types, self.param_types.iter().copied()).0;
        let from = Side::Guest(guest);

        let tuple = Shape::Tuple(self.param_types.clone());
        let spilled_at = match spilled {
            true => {
                let pointer = params.take();
                let layout = from.size_align(component_types, &tuple);
                Some(transfer::checked_tuple(e, guest, pointer, layout)?)
            }
            false => None,
        };
        let bitwise = |ty: &Type| component_types.facts(*ty).bitwise;
        if let Some(address) = spilled_at
            && self.param_types.iter().all(bitwise)
        {
            // The guest's struct already is the native one.
            return Ok(address);
        }
        let args = match layout.size {
            0 => return Ok(no_struct(e)),
            _ => native_struct(e, layout)?,
        };
        let mut transfer = Transfer::new(e, from, Side::Host)?;
        transfer.observe_lends(lends);
        let mut source = match spilled_at {
            Some(address) => Source::Guest(Place::new(address)),
            None => Source::Flat(params),
        };
        let mut destination = Destination::Native(Place::new(args));
        transfer.all(&tuple, &mut source, &mut destination)?;
        Ok(args)
    }

    /// Calls the host function; raises if it fails, or if an interruption came meanwhile. Goes on
    /// when the native result is there; `pointer` is where the guest wants it.
    fn call_host(
        &self,
        e: &mut Emitter<'_, '_>,
        args: Value,
        results: Value,
        pointer: Option<Value>,
        marks: Marks,
    ) -> Marks {
        let slot = e.session.layout.root.import(self.import);
        let field = |offset: usize| RootOffset(slot.0 + offset as u32);
        let function = e.load_root(types::I64, field(offset_of!(ImportSlot, function)));
        let data = e.load_root(types::I64, field(offset_of!(ImportSlot, data)));
        let store = e.load_root(types::I64, root::STORE);
        let signature = codegen::native_signature(&[types::I64; 4], &[types::I32]);
        let signature = e.builder.func.import_signature(signature);
        let arguments = [data, store, args, results];
        let call = e
            .builder
            .ins()
            .call_indirect(signature, function, &arguments);
        // `HOST_OK` is 0.
        let status = e.builder.inst_results(call)[0];
        // Which import failed, from 1, for the message.
        let number = e.i64(i64::from(self.import.0) + 1);
        let marks = match self.host_call {
            None => {
                e.trap_if(status, TrapCode::HostError, Some(number));
                marks
            }
            Some(id) => {
                let [not_ok, go_on] = [(); 2].map(|()| e.builder.create_block());
                e.builder.set_cold_block(not_ok);
                let arguments: Vec<_> = marks.values().map(BlockArg::Value).collect();
                let mut parameters = marks
                    .values()
                    .map(|_| e.builder.append_block_param(go_on, types::I64));
                let marks_then = Marks {
                    arena: marks.arena.and_then(|_| parameters.next()),
                    lends: marks.lends.and_then(|_| parameters.next()),
                };
                drop(parameters);
                let ins = e.builder.ins();
                ins.brif(status, not_ok, &[], go_on, &arguments);
                codegen::start_block(&mut e.builder, not_ok);
                let is_done =
                    e.builder
                        .ins()
                        .icmp_imm_s(IntCC::NotEqual, status, i64::from(HOST_PENDING));
                e.trap_if(is_done, TrapCode::HostError, Some(number));
                let waits = e.builder.current_block();
                waits
                    .into_iter()
                    .for_each(|block| e.builder.set_cold_block(block));
                let marks = self.wait_or_leave(e, id, results, pointer, marks);
                if let Some(marks) = marks {
                    let arguments: Vec<_> = marks.values().map(BlockArg::Value).collect();
                    e.builder.ins().jump(go_on, &arguments);
                }
                codegen::start_block(&mut e.builder, go_on);
                marks_then
            }
        };
        let interrupt = e.load_root(types::I32, root::INTERRUPT);
        e.trap_if(interrupt, TrapCode::Interrupt, None);
        marks
    }

    /// The host is not done: waits until it is, and gives the marks from then on; or returns to the
    /// guest with a subtask.
    fn wait_or_leave(
        &self,
        e: &mut Emitter<'_, '_>,
        id: HostCallId,
        results: Value,
        pointer: Option<Value>,
        marks: Marks,
    ) -> Option<Marks> {
        // Who goes on meanwhile must not find this call's values there.
        if let Some(mark) = marks.arena {
            e.builtin(Builtin::ArenaReset, &[mark]);
        }
        let lends = marks.lends.unwrap_or_else(|| e.i64(-1));
        let id = e.i32(id.0);
        if !self.options.waiting.is_async() {
            e.builtin(Builtin::HostCallWait, &[id, lends, results]);
            return Some(marks.again(e));
        }
        let pointer = match pointer {
            Some(pointer) => to_bits(e, pointer),
            None => e.i64(0),
        };
        let state = e.value_of(Builtin::HostCallGoOn, &[id, lends, pointer]);
        e.builder.ins().return_(&[state]);
        None
    }

    /// Lowers the native result; returns the flat one, if there is no pointer to where it goes.
    fn lower_result(
        &self,
        e: &mut Emitter<'_, '_>,
        guest: Guest<'_>,
        results: Value,
        pointer: Option<Value>,
    ) -> Result<Vec<Value>> {
        let Some(ty) = self.ty.result else {
            return Ok(Vec::new());
        };
        let component_types = &e.session.program.types;
        let calls_guest = facts::contains_pointer(component_types, ty);
        let to = Side::Guest(guest);

        let mut flat = Vec::new();
        let mut destination = match pointer {
            Some(pointer) => {
                let layout = to.size_align(component_types, &Shape::Value(ty));
                let address = transfer::checked_tuple(e, guest, pointer, layout)?;
                Destination::Guest(Place::new(address))
            }
            None => Destination::Flat(&mut flat),
        };
        let saved = calls_guest.then(|| flags::forbid_leaving(e, self.options.instance));
        let mut transfer = Transfer::new(e, Side::Host, to)?;
        let mut source = Source::Native(Place::new(results));
        transfer.all(&Shape::Value(ty), &mut source, &mut destination)?;
        if let Some(saved) = saved {
            flags::restore_flags(e, saved);
            // Results without pointers own nothing.
            e.builtin(Builtin::HostResultsRelease, &[]);
        }
        Ok(flat)
    }
}

/// What is passed where there are no parameters or no result: nothing is read or written there, but
/// it is aligned and not null.
fn no_struct(e: &Emitter<'_, '_>) -> Value {
    e.context
}

/// Stack memory for a native struct.
pub(super) fn native_struct(e: &mut Emitter<'_, '_>, layout: SizeAlign) -> Result<Value> {
    ensure!(
        layout.size <= STACK_STRUCT_LIMIT,
        "values of {} bytes are larger than the limit of {STACK_STRUCT_LIMIT}",
        layout.size
    );
    Ok(e.stack_slot(layout.size as u32, layout.align))
}
