//! `canon error-context.new`, `error-context.debug-message` and `error-context.drop`
//! (CanonicalABI.md, sections of those names).
//!
//! The store keeps the messages, up to a limit beyond which they are discarded; a handle's
//! representation says which one, and is counted as a reference to it.

use super::flags::{self, check_may_leave};
use super::handles;
use super::transfer::{
    self, Destination, FlatValues, Guest, Place, Shape, Side, Source, Transfer, facts,
};
use crate::codegen::emitter::Emitter;
use crate::codegen::{self, Session};
use crate::program::{CanonicalOptions, ErrorContextBuiltIn, TrampolineKind};
use anyhow::{Result, bail};
use cranelift_codegen::ir::{self, InstBuilder, Value, types};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::ids::TrampolineId;
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::layout::HandleEntry;
use trampette_artifact::types::Type;

/// The wasm-call body of an error-context built-in.
///
/// # Errors
/// If the trampoline is of another kind, or options that it needs are missing.
pub(crate) fn error_context_trampoline(
    session: &Session<'_>,
    id: TrampolineId,
) -> Result<ir::Function> {
    let trampoline = &session.program.trampolines[id];
    let key = FuncKey::ComponentTrampoline(Abi::Wasm, id);
    let TrampolineKind::ErrorContext { built_in, options } = &trampoline.kind else {
        bail!("{key} is no error-context built-in");
    };
    let signature = codegen::wasm_call_signature(&trampoline.signature);
    Emitter::build(session, key, signature, |e, params| {
        let instance = options.instance;
        check_may_leave(e, instance);
        match (built_in, &params[..]) {
            (ErrorContextBuiltIn::New, _) => {
                let rep = keep_message(e, options, params)?;
                let tag = HandleEntry::ERROR_CONTEXT;
                let index = handles::table_new(e, instance, tag, rep);
                e.builder.ins().return_(&[index]);
            }
            (ErrorContextBuiltIn::DebugMessage, [index, pointer]) => {
                let (_, rep) = handles::error_context(e, instance, *index);
                store_message(e, options, rep, *pointer)?;
                e.builder.ins().return_(&[]);
            }
            (ErrorContextBuiltIn::Drop, [index]) => {
                let (entry, rep) = handles::error_context(e, instance, *index);
                e.builtin(Builtin::ErrorContextDrop, &[rep]);
                handles::table_free(e, instance, *index, entry);
                e.builder.ins().return_(&[]);
            }
            _ => bail!("{key} has the wrong parameters"),
        }
        Ok(())
    })
}

/// Bytes and alignment of a native string.
const STRING: (u32, u32) = (16, 8);
/// Where the number of bytes is in a native string.
const LENGTH: i32 = 8;

/// Lifts a new error context's message, a flat string, and gives it to the store; returns the
/// representation (`i32`).
fn keep_message(
    e: &mut Emitter<'_, '_>,
    options: &CanonicalOptions,
    params: Vec<Value>,
) -> Result<Value> {
    let guest = Guest::new(options);
    let uses_arena = facts::uses_arena(&e.session.program.types, Type::String, guest);
    let mark = match uses_arena {
        true => e.builtin(Builtin::ArenaMark, &[]),
        false => None,
    };
    let slice = e.stack_slot(STRING.0, STRING.1);
    let mut params = FlatValues::new(params);
    let mut source = Source::Flat(&mut params);
    let mut destination = Destination::Native(Place::new(slice));
    Transfer::new(e, Side::Guest(guest), Side::Host)?.value(
        Type::String,
        &mut source,
        &mut destination,
    )?;
    let flags = e.native_flags();
    let address = e.builder.ins().load(types::I64, flags, slice, 0);
    let bytes = e.builder.ins().load(types::I64, flags, slice, LENGTH);
    let rep = e.value_of(Builtin::ErrorContextNew, &[address, bytes]);
    if let Some(mark) = mark {
        e.builtin(Builtin::ArenaReset, &[mark]);
    }
    Ok(rep)
}

/// Lowers a message into the guest's memory.
fn store_message(
    e: &mut Emitter<'_, '_>,
    options: &CanonicalOptions,
    rep: Value,
    pointer: Value,
) -> Result<()> {
    let to = Side::Guest(Guest::new(options));
    let types = &e.session.program.types;
    let layout = to.size_align(types, &Shape::Value(Type::String));
    let address = transfer::checked_tuple(e, Guest::new(options), pointer, layout)?;
    let slice = e.stack_slot(STRING.0, STRING.1);
    e.builtin(Builtin::ErrorContextMessage, &[rep, slice]);
    // The guest's `realloc` cannot drop the error context meanwhile.
    let saved = flags::forbid_leaving(e, options.instance);
    let mut source = Source::Native(Place::new(slice));
    let mut destination = Destination::Guest(Place::new(address));
    Transfer::new(e, Side::Host, to)?.value(Type::String, &mut source, &mut destination)?;
    flags::restore_flags(e, saved);
    Ok(())
}
