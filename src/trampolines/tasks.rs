//! Tasks: the pieces that the runtime calls to run a function of an `async` type, or one of a
//! synchronous type on a stack of its own (CanonicalABI.md, *canon lift*), and the adapter that
//! asks it to.
//!
//! A piece is compiled for each task, that is for a lifted function with one of its callers, since
//! values move from one side to the other without a stop: [`task_body`] moves the parameters and
//! calls the core function, [`task_callback`] calls the callback once, [`task_result`] moves what
//! `task.return` was given. Which of them runs when, and on which stack, the runtime decides.

use super::adapter::Adapter;
use super::borrows::BorrowScope;
use super::entry::body_signature;
use super::export_entry::Lifting;
use super::flags::check_may_leave;
use super::transfer::{FlatValues, Guest, facts};
use crate::codegen::emitter::Emitter;
use crate::codegen::values::{Stride, from_bits, load_values, store_values, to_bits, value_slots};
use crate::codegen::{self, Session, clif_type};
use crate::program::module::CoreType;
use crate::program::{CanonicalOptions, LiftedFunction, TrampolineKind, Waiting, flatten};
use anyhow::{Context, Result, bail};
use cranelift_codegen::ir::{self, InstBuilder, Value, types};
use std::mem::offset_of;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::ids::{TaskId, TrampolineId};
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::tasks::{CallMode, TaskRecord};

const PARAMS: i32 = offset_of!(TaskRecord, params) as i32;
const RESULTS: i32 = offset_of!(TaskRecord, results) as i32;
const CODE: i32 = offset_of!(TaskRecord, code) as i32;

/// A task as its pieces see it.
struct Task<'p> {
    lift: &'p LiftedFunction,
    /// The options of the caller; `None` for the host.
    caller: Option<&'p CanonicalOptions>,
}

impl<'p> Task<'p> {
    fn of(session: &Session<'p>, id: TaskId) -> Result<Task<'p>> {
        let task = session.program.task(id);
        let (lift, caller) = task.with_context(|| format!("there is no {id}"))?;
        Ok(Task { lift, caller })
    }
}

/// The wasm-call body of what begins a task: `tail fn(ctx, record)`.
///
/// # Errors
/// If there is no such task, or its type has values that cannot be transferred.
pub(crate) fn task_body(session: &Session<'_>, id: TaskId) -> Result<ir::Function> {
    let key = FuncKey::TaskBody(Abi::Wasm, id);
    let signature = codegen::wasm_call_signature(&body_signature(key)?);
    let task = Task::of(session, id)?;
    Emitter::build(session, key, signature, |e, params| {
        let record = params[0];
        task.begin(e, record)
            .with_context(|| format!("cannot begin a task of `{}`", task.lift.name))?;
        e.builder.ins().return_(&[]);
        Ok(())
    })
}

/// The wasm-call body of one call of a callback: `tail fn(ctx, record, event, first, second)`.
///
/// # Errors
/// If there is no such task, or it is lifted without a callback.
pub(crate) fn task_callback(session: &Session<'_>, id: TaskId) -> Result<ir::Function> {
    let key = FuncKey::TaskCallback(Abi::Wasm, id);
    let signature = codegen::wasm_call_signature(&body_signature(key)?);
    let task = Task::of(session, id)?;
    let Waiting::Callback(callback) = task.lift.options.waiting else {
        bail!("{key}: the function is lifted without a callback");
    };
    let callback_signature = session.program.signature(callback)?;
    Emitter::build(session, key, signature, |e, params| {
        let results = e.call_core(callback, &callback_signature, &params[1..]);
        store(e, results[0], params[0], CODE);
        e.builder.ins().return_(&[]);
        Ok(())
    })
}

/// The wasm-call body of what moves a result: `tail fn(ctx, record, values)`.
///
/// # Errors
/// If there is no such task, or its type has values that cannot be transferred.
pub(crate) fn task_result(session: &Session<'_>, id: TaskId) -> Result<ir::Function> {
    let key = FuncKey::TaskResult(Abi::Wasm, id);
    let signature = codegen::wasm_call_signature(&body_signature(key)?);
    let task = Task::of(session, id)?;
    let (lift, types) = (task.lift, &session.program.types);
    let returned = flatten::returned(types, lift.ty.result, lift.options.width());
    Emitter::build(session, key, signature, |e, params| {
        let flat = load_values(e, params[1], Stride::FLAT, &returned.params);
        task.move_result(e, params[0], flat)
            .with_context(|| format!("cannot return from `{}`", lift.name))?;
        e.builder.ins().return_(&[]);
        Ok(())
    })
}

impl Task<'_> {
    fn begin(&self, e: &mut Emitter<'_, '_>, record: Value) -> Result<()> {
        let flat_args = self.move_params(e, record)?;
        let flat = e.call_core(self.lift.func, &self.lift.signature, &flat_args);
        match self.lift.options.waiting {
            Waiting::Async => {}
            Waiting::Callback(_) => store(e, flat[0], record, CODE),
            Waiting::Blocks => {
                self.move_result(e, record, flat.clone())?;
                e.builtin(Builtin::TaskResolve, &[record]);
                super::adapter::call_post_return(e, self.lift, &flat);
            }
        }
        Ok(())
    }

    /// Moves the parameters; returns the core function's arguments.
    fn move_params(&self, e: &mut Emitter<'_, '_>, record: Value) -> Result<Vec<Value>> {
        let program = e.session.program;
        let param_types: Vec<_> = self.lift.ty.params.iter().map(|param| param.ty).collect();
        let instance = self.lift.options.instance;
        let lends = facts::borrowed_resources(&program.types, &param_types);
        let mark = (!lends.is_empty()).then(|| e.value_of(Builtin::LendMark, &[]));
        let borrows = facts::lowers_borrows(program, &param_types, instance)
            .then(|| BorrowScope::of_record(e, instance, record));
        let params = match self.lift.ty.params.is_empty() {
            true => e.i64(0),
            false => load(e, types::I64, record, PARAMS),
        };
        let args = match self.caller {
            None => {
                let lifting = Lifting::new(self.lift, &program.types);
                lifting.lower_params(e, params, lends, borrows)?
            }
            Some(options) => {
                let adapter = Adapter::new(program, self.lift, options);
                let lowered = flatten::lowered_params(
                    &program.types,
                    &self.lift.ty,
                    options.width(),
                    options.waiting,
                );
                let mut flat = FlatValues::new(load_values(e, params, Stride::FLAT, &lowered));
                let arena_mark = adapter.begin_arena(e);
                let args = adapter.pass_params(e, &mut flat, lends, borrows)?;
                adapter.end_arena(e, arena_mark);
                args
            }
        };
        if let Some(mark) = mark {
            e.builtin(Builtin::CallLends, &[record, mark]);
        }
        Ok(args)
    }

    /// Moves the result, whose flat values are those of `task.return`, or of the core function if
    /// it is lifted without `async`.
    fn move_result(&self, e: &mut Emitter<'_, '_>, record: Value, flat: Vec<Value>) -> Result<()> {
        let program = e.session.program;
        let Some(options) = self.caller else {
            let lifting = Lifting::new(self.lift, &program.types);
            let native = lifting.lift_result_anew(e, flat)?;
            e.builtin(Builtin::TaskHostResult, &[record, native]);
            return Ok(());
        };
        let Some(ty) = self.lift.ty.result else {
            return Ok(());
        };
        let adapter = Adapter::new(program, self.lift, options);
        let results = load(e, types::I64, record, RESULTS);
        // What a caller that waits gets as a flat value goes to a slot of its frame.
        let in_slot = facts::flat_lowered_result(&program.types, ty, Guest::new(options));
        let pointer = from_bits(e, results, clif_type(CoreType::pointer(options.width())));
        let arena_mark = adapter.begin_arena(e);
        let moved = adapter.pass_result(e, flat, FlatValues::new(vec![pointer]))?;
        adapter.end_arena(e, arena_mark);
        if in_slot {
            store(e, moved[0], results, 0);
        }
        Ok(())
    }
}

/// The wasm-call code of an adapter to a function that runs as a task: hands the call to the
/// runtime.
///
/// # Errors
/// If the trampoline is of another kind, or no task has it as its caller.
pub(crate) fn task_adapter(session: &Session<'_>, id: TrampolineId) -> Result<ir::Function> {
    let trampoline = &session.program.trampolines[id];
    let TrampolineKind::Adapter { ty, options, .. } = &trampoline.kind else {
        bail!("{id} is no adapter but `{}`", trampoline.kind.name());
    };
    let task = session.layout.tasks_of_adapters.get(&id);
    let task = *task.with_context(|| format!("{id} calls no task"))?;
    let component_types = &session.program.types;
    let lowered =
        flatten::lowered_params(component_types, ty, options.width(), options.waiting).len();
    let key = FuncKey::ComponentTrampoline(Abi::Wasm, id);
    let signature = codegen::wasm_call_signature(&trampoline.signature);
    Emitter::build(session, key, signature, |e, params| {
        check_may_leave(e, options.instance);
        let (params, out_pointer) = params.split_at(lowered);
        let values = store_flat(e, params);
        let slot = value_slots(e, 1, Stride::FLAT);
        let results = match out_pointer {
            [pointer] => to_bits(e, *pointer),
            _ => slot,
        };
        let mode = match options.waiting.is_async() {
            true => CallMode::GoesOn,
            false => CallMode::Waits,
        };
        let (task, mode) = (e.i32(task.0), e.i32(mode as u32));
        let state = e.value_of(Builtin::TaskCall, &[task, values, results, mode]);
        let results = match options.waiting.is_async() {
            true => vec![e.builder.ins().ireduce(types::I32, state)],
            false => load_values(e, slot, Stride::FLAT, &trampoline.signature.results),
        };
        e.builder.ins().return_(&results);
        Ok(())
    })
}

/// Stores flat values to an array in the frame; returns its address.
pub(crate) fn store_flat(e: &mut Emitter<'_, '_>, values: &[Value]) -> Value {
    let slots = value_slots(e, values.len() as u32, Stride::FLAT);
    store_values(e, slots, Stride::FLAT, values);
    slots
}

fn load(e: &mut Emitter<'_, '_>, ty: ir::Type, address: Value, offset: i32) -> Value {
    let flags = e.native_flags();
    e.builder.ins().load(ty, flags, address, offset)
}

fn store(e: &mut Emitter<'_, '_>, value: Value, address: Value, offset: i32) {
    let flags = e.native_flags();
    e.builder.ins().store(flags, value, address, offset);
}
