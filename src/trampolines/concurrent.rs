//! Canonical built-ins of the asynchronous part: what is small is done in line, the rest is the
//! runtime's (CanonicalABI.md, *canon task.return* and the sections after it).

use super::cells;
use super::entry::body_signature;
use super::flags::{self, check_may_leave};
use super::startup::{table_base, table_length};
use super::tasks::store_flat;
use super::transfer::{Guest, Shape, Side, Transfer};
use crate::codegen::emitter::Emitter;
use crate::codegen::values::{from_bits, to_bits};
use crate::codegen::{self, Region, Session};
use crate::program::module::{CoreSignature, CoreType};
use crate::program::{ConcurrentBuiltIn as BuiltIn, EndCopy, TrampolineKind};
use anyhow::{Context, Result, bail};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, Value, types};
use std::mem::offset_of;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::{CopyId, CopyPairId, TableId, TrampolineId};
use trampette_artifact::key::{Abi, DataKey, FuncKey};
use trampette_artifact::layout::root;
use trampette_artifact::tables::FunctionEntry;
use trampette_artifact::tasks::EndOperation;
use trampette_artifact::trap::TrapCode;
use trampette_artifact::types::DefinedType;

/// `thread.yield`: where nobody else can go on, the runtime has said so beforehand.
fn thread_yield(e: &mut Emitter<'_, '_>, owner: Value) {
    let [at_once, wait, done] = [(); 3].map(|()| e.builder.create_block());
    e.builder.set_cold_block(wait);
    let left = e.load_root(types::I32, root::YIELDS);
    e.builder.ins().brif(left, at_once, &[], wait, &[]);
    e.builder.switch_to_block(at_once);
    let less = e.builder.ins().iadd_imm_s(left, -1);
    e.store_root(less, root::YIELDS);
    e.builder.ins().jump(done, &[]);
    e.builder.switch_to_block(wait);
    e.builtin(Builtin::ThreadYield, &[owner]);
    e.builder.ins().jump(done, &[]);
    e.builder.switch_to_block(done);
}

/// The wasm-call body of a built-in.
///
/// # Errors
/// If the trampoline is of another kind, or an option that it needs is missing.
pub(crate) fn concurrent_trampoline(
    session: &Session<'_>,
    id: TrampolineId,
) -> Result<ir::Function> {
    let trampoline = &session.program.trampolines[id];
    let key = FuncKey::ComponentTrampoline(Abi::Wasm, id);
    let TrampolineKind::Concurrent { built_in, options } = &trampoline.kind else {
        bail!("{key} is no built-in of the asynchronous part");
    };
    let signature = codegen::wasm_call_signature(&trampoline.signature);
    Emitter::build(session, key, signature, |e, params| {
        let instance = options.instance;
        if !matches!(
            built_in,
            BuiltIn::ContextGet { .. }
                | BuiltIn::ContextSet { .. }
                | BuiltIn::BackpressureInc
                | BuiltIn::BackpressureDec
        ) {
            check_may_leave(e, instance);
        }
        let owner = e.i32(instance.0);
        let results = match (*built_in, &params[..]) {
            (BuiltIn::ContextGet { slot, width }, []) => {
                let place = cells::slot(e, instance, slot);
                vec![e.load_root(codegen::clif_type(CoreType::pointer(width)), place)]
            }
            (BuiltIn::ContextSet { slot, .. }, [value]) => {
                // The upper half of a 32-bit value is zero.
                let (value, place) = (to_bits(e, *value), cells::slot(e, instance, slot));
                e.store_root(value, place);
                Vec::new()
            }
            (BuiltIn::TaskReturn { class, .. }, values) => {
                let values = store_flat(e, values);
                let class = e.i32(class);
                e.builtin(Builtin::TaskReturn, &[class, owner, values]);
                Vec::new()
            }
            (BuiltIn::TaskCancel, []) => call(e, Builtin::TaskCancel, &[owner]),
            (BuiltIn::ThreadYield, []) => {
                thread_yield(e, owner);
                vec![e.i32(0)]
            }
            (BuiltIn::BackpressureInc, []) => call(e, Builtin::BackpressureInc, &[owner]),
            (BuiltIn::BackpressureDec, []) => call(e, Builtin::BackpressureDec, &[owner]),
            (BuiltIn::WaitableSetNew, []) => call(e, Builtin::WaitableSetNew, &[owner]),
            (BuiltIn::WaitableSetWait | BuiltIn::WaitableSetPoll, [set, pointer]) => {
                let (memory, _) = options.memory.context("events go to a memory")?;
                let (memory, pointer) = (e.i32(memory.0), to_bits(e, *pointer));
                let builtin = match built_in {
                    BuiltIn::WaitableSetWait => Builtin::WaitableSetWait,
                    _ => Builtin::WaitableSetPoll,
                };
                call(e, builtin, &[owner, *set, memory, pointer])
            }
            (BuiltIn::WaitableSetDrop, [set]) => call(e, Builtin::WaitableSetDrop, &[owner, *set]),
            (BuiltIn::WaitableJoin, [waitable, set]) => {
                call(e, Builtin::WaitableJoin, &[owner, *waitable, *set])
            }
            (BuiltIn::SubtaskCancel { is_async }, [subtask]) => {
                let is_async = e.i32(is_async.into());
                call(e, Builtin::SubtaskCancel, &[owner, *subtask, is_async])
            }
            (BuiltIn::SubtaskDrop, [subtask]) => call(e, Builtin::SubtaskDrop, &[owner, *subtask]),
            (BuiltIn::EndsNew(ty), []) => {
                let ty = e.i32(ty.0);
                call(e, Builtin::EndsNew, &[owner, ty])
            }
            (BuiltIn::EndCopy(copy), [end, pointer, length @ ..]) => {
                let pointer = to_bits(e, *pointer);
                let length = match length {
                    [length] => to_bits(e, *length),
                    _ => e.i64(1),
                };
                let copy = e.i32(copy.0);
                let result = e.value_of(Builtin::EndCopy, &[copy, *end, pointer, length]);
                vec![from_bits(
                    e,
                    result,
                    codegen::clif_type(trampoline.signature.results[0]),
                )]
            }
            (BuiltIn::EndOperate(ty, operation), [end]) => {
                let ty = e.i32(ty.0);
                let number = e.i32(operation as u32);
                let result = e.value_of(Builtin::EndOperate, &[owner, ty, *end, number]);
                match operation {
                    EndOperation::DropReadable | EndOperation::DropWritable => Vec::new(),
                    _ => vec![from_bits(
                        e,
                        result,
                        codegen::clif_type(trampoline.signature.results[0]),
                    )],
                }
            }
            (BuiltIn::EndsForward(ty), [reader, writer]) => {
                let ty = e.i32(ty.0);
                call(e, Builtin::EndsForward, &[owner, ty, *reader, *writer])
            }
            (BuiltIn::ThreadIndex, []) => call(e, Builtin::ThreadIndex, &[owner]),
            (BuiltIn::ThreadNew { table, argument }, [index, value]) => {
                let function = start_function(e, table, argument, *index);
                let value = to_bits(e, *value);
                let wide = e.i32(u32::from(argument == PointerWidth::P64));
                call(e, Builtin::ThreadNew, &[owner, function, value, wide])
            }
            (BuiltIn::ThreadOperate(operation), other) => {
                let other = other.first().copied().unwrap_or_else(|| e.i32(0));
                let number = e.i32(operation as u32);
                e.builtin(Builtin::ThreadOperate, &[owner, other, number]);
                let results = trampoline.signature.results.iter();
                results.map(|_| e.i32(0)).collect()
            }
            _ => bail!("{key} has the wrong parameters"),
        };
        e.builder.ins().return_(&results);
        Ok(())
    })
}

/// The type of a function that a thread begins with.
fn start_signature(argument: PointerWidth) -> CoreSignature {
    CoreSignature {
        params: [CoreType::pointer(argument)].into(),
        results: [].into(),
    }
}

/// Looks up the function that a thread begins with, whose type must be right; gives its id.
fn start_function(
    e: &mut Emitter<'_, '_>,
    table: TableId,
    argument: PointerWidth,
    index: Value,
) -> Value {
    let index = to_bits(e, index);
    let length = table_length(e, table);
    let outside = e
        .builder
        .ins()
        .icmp(IntCC::UnsignedGreaterThanOrEqual, index, length);
    e.trap_if(outside, TrapCode::TableOutOfBounds, None);
    let base = table_base(e, table);
    let shift = e.i32(size_of::<u32>().trailing_zeros());
    let offset = e.builder.ins().ishl(index, shift);
    let at = e.builder.ins().iadd(base, offset);
    let flags = Region::Table(table).trusted(e.builder.func);
    let id = e.builder.ins().load(types::I32, flags, at, 0);
    let null = e.i32(0);
    let is_null = e.builder.ins().icmp(IntCC::Equal, id, null);
    e.trap_if(is_null, TrapCode::IndirectCallToNull, None);
    let Some(entry) = codegen::function_entry(&mut e.builder, e.session.layout, id) else {
        // Without functions as values every entry is null.
        return id;
    };
    let flags = MemFlagsData::trusted().with_readonly();
    let at = offset_of!(FunctionEntry, signature) as i32;
    let signature = e.builder.ins().load(types::I32, flags, entry, at);
    // No function has a type that no function has.
    let expected = e.session.layout.signatures.find(&start_signature(argument));
    let expected = e.i32(expected.map_or(0, |id| id.0));
    let wrong = e.builder.ins().icmp(IntCC::NotEqual, signature, expected);
    e.trap_if(wrong, TrapCode::BadSignature, None);
    id
}

/// The wasm-call body of what begins an explicit thread: `tail fn(ctx, function, argument)`.
///
/// # Errors
/// None at present; the result is uniform over all producers.
pub(crate) fn thread_start(session: &Session<'_>, width: PointerWidth) -> Result<ir::Function> {
    let key = FuncKey::ThreadStart(Abi::Wasm, width);
    let signature = codegen::wasm_call_signature(&body_signature(key)?);
    Emitter::build(session, key, signature, |e, params| {
        let Some(entry) = codegen::function_entry(&mut e.builder, session.layout, params[0]) else {
            // There is no function that it could begin with.
            e.raise(TrapCode::IndirectCallToNull, None);
            return Ok(());
        };
        let flags = MemFlagsData::trusted().with_readonly();
        let at = offset_of!(FunctionEntry, code) as i32;
        let code = e.builder.ins().sload32(flags, entry, at);
        let start = codegen::data_address(&mut e.builder, DataKey::FunctionTable);
        let code = e.builder.ins().iadd(start, code);
        let at = offset_of!(FunctionEntry, context) as i32;
        let distance = e.builder.ins().load(types::I64, flags, entry, at);
        let context = e.builder.ins().iadd(e.context, distance);
        let argument = from_bits(e, params[1], codegen::clif_type(CoreType::pointer(width)));
        let callee = codegen::wasm_call_signature(&start_signature(width));
        let callee = e.builder.import_signature(callee);
        e.builder
            .ins()
            .call_indirect(callee, code, &[context, argument]);
        e.builder.ins().return_(&[]);
        Ok(())
    })
}

fn call(e: &mut Emitter<'_, '_>, builtin: Builtin, args: &[Value]) -> Vec<Value> {
    e.builtin(builtin, args).into_iter().collect()
}

/// The wasm-call body of what copies elements that are more than bits from the buffer of a write to
/// that of a read, of which one may be the host's: `tail fn(ctx, from, to, count)`.
///
/// # Errors
/// If there is no such pair, or its elements cannot be transferred.
pub(crate) fn element_copy(session: &Session<'_>, id: CopyPairId) -> Result<ir::Function> {
    let key = FuncKey::ElementCopy(Abi::Wasm, id);
    let signature = codegen::wasm_call_signature(&body_signature(key)?);
    let pair = session.layout.copy_pairs.get(id);
    let pair = *pair.with_context(|| format!("there is no {id}"))?;
    let program = session.program;
    let copy = |copy: CopyId| {
        let copy = program.copies.get_index(copy.index());
        copy.with_context(|| format!("{key}: there is no such read or write"))
    };
    let (write, read) = (
        pair.write.map(copy).transpose()?,
        pair.read.map(copy).transpose()?,
    );
    let ty = write.or(read).map(|copy| &program.types[copy.ty]);
    let Some(DefinedType::Stream(Some(element)) | DefinedType::Future(Some(element))) = ty else {
        bail!("{key}: there are no elements");
    };
    let element = Shape::Value(*element);
    Emitter::build(session, key, signature, |e, params| {
        let [from, to, count] = params[..] else {
            bail!("{key} has the wrong parameters");
        };
        let side = |copy: Option<_>| {
            let guest = copy.map(|copy: &EndCopy| Guest::new(&copy.options));
            guest.map_or(Side::Host, Side::Guest)
        };
        let reader = read.map(|read| read.options.instance);
        let saved = reader.map(|reader| flags::forbid_leaving(e, reader));
        let mut transfer = Transfer::new(e, side(write), side(read))?;
        transfer.elements_between(&element, count, from, to)?;
        if let Some(saved) = saved {
            flags::restore_flags(e, saved);
        }
        e.builder.ins().return_(&[]);
        Ok(())
    })
}
