//! `canon error-context.new`, `error-context.debug-message` and `error-context.drop`
//! (CanonicalABI.md, sections of those names).
//!
//! Debug messages are always discarded, as the deterministic profile has it: so an error context is
//! nothing but a handle, all of them are alike, and the message of each is empty.

use super::emitter::Emitter;
use super::reentrance::check_may_leave;
use super::transfer::{self, Destination, Guest, Place, Shape, Side, Source, Transfer};
use super::{flags, handles};
use crate::codegen::{self, Session};
use crate::component::program::{CanonicalOptions, ErrorContextBuiltIn, TrampolineKind};
use anyhow::{Result, bail};
use cranelift_codegen::ir::{self, InstBuilder, Value};
use cranelift_frontend::FunctionBuilderContext;
use trampette_artifact::ids::TrampolineId;
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::layout::HandleEntry;
use trampette_artifact::types::Type;

/// The wasm-call body of an error-context built-in.
///
/// # Errors
/// If the trampoline is of another kind, or options that it needs are missing.
pub fn error_context_trampoline(session: &Session<'_>, id: TrampolineId) -> Result<ir::Function> {
    let trampoline = &session.program.trampolines[id.index()];
    let key = FuncKey::ComponentTrampoline(Abi::Wasm, id);
    let TrampolineKind::ErrorContext { built_in, options } = &trampoline.kind else {
        bail!("{key} is no error-context built-in");
    };
    let signature = codegen::wasm_call_signature(&trampoline.signature);
    let mut func = codegen::new_function(key, signature);
    codegen::set_stack_limit(&mut func);
    let mut builder_context = FunctionBuilderContext::new();
    let (mut e, params) = Emitter::new(session, &mut func, &mut builder_context);
    let instance = options.instance;
    check_may_leave(&mut e, instance);
    match (built_in, &params[..]) {
        (ErrorContextBuiltIn::New, _) => {
            let nothing = e.i32(0);
            let tag = HandleEntry::ERROR_CONTEXT;
            let index = handles::table_new(&mut e, instance, tag, nothing);
            e.builder.ins().return_(&[index]);
        }
        (ErrorContextBuiltIn::DebugMessage, [index, pointer]) => {
            handles::error_context(&mut e, instance, *index);
            store_empty_string(&mut e, options, *pointer)?;
            e.builder.ins().return_(&[]);
        }
        (ErrorContextBuiltIn::Drop, [index]) => {
            let entry = handles::error_context(&mut e, instance, *index);
            handles::table_free(&mut e, instance, *index, entry);
            e.builder.ins().return_(&[]);
        }
        _ => bail!("{key} has the wrong parameters"),
    }
    e.finish();
    Ok(func)
}

fn store_empty_string(
    e: &mut Emitter<'_, '_>,
    options: &CanonicalOptions,
    pointer: Value,
) -> Result<()> {
    let to = Side::Guest(Guest::new(options));
    let types = &e.session.program.types;
    let layout = to.size_align(types, &Shape::Value(Type::String));
    let address = transfer::checked_tuple(e, Guest::new(options), pointer, layout)?;
    // A native string: an address that is not null, and no bytes.
    let slice = e.stack_slot(16, 8);
    let flags = e.native_flags();
    let context = e.context;
    e.builder.ins().store(flags, context, slice, 0);
    let none = e.i64(0);
    e.builder.ins().store(flags, none, slice, 8);
    let saved = flags::forbid_leaving(e, options.instance);
    let mut source = Source::Native(Place::new(slice));
    let mut destination = Destination::Guest(Place::new(address));
    Transfer::new(e, Side::Host, to)?.value(Type::String, &mut source, &mut destination)?;
    flags::restore_flags(e, saved);
    Ok(())
}
