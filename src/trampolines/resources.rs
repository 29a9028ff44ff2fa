//! `canon resource.new`, `resource.rep` and `resource.drop`, and the drop that the host drives
//! (CanonicalABI.md, sections of those names).
//!
//! A guest's destructor is called directly, whether or not its instance is running: when another
//! instance defines the resource, it is a call between components like any other. The handle is
//! gone from its table before. The host is called only for the destructors of resources that it
//! defines.

use super::borrows;
use super::cells;
use super::entry::body_signature;
use super::flags::check_may_leave;
use super::handles::{self, Allowed};
use crate::codegen::emitter::Emitter;
use crate::codegen::{self, Session};
use crate::program::TrampolineKind;
use crate::program::module::{CoreSignature, CoreType};
use anyhow::{Context, Result, bail};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, Value, types};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::ids::{ComponentInstanceId, ResourceId, TrampolineId};
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::layout::{HandleEntry, root};
use trampette_artifact::metadata::Resource;
use trampette_artifact::trap::TrapCode;

/// The wasm-call body of a resource built-in.
///
/// # Errors
/// If the trampoline is of another kind.
pub(crate) fn resource_trampoline(session: &Session<'_>, id: TrampolineId) -> Result<ir::Function> {
    let trampoline = &session.program.trampolines[id];
    let key = FuncKey::ComponentTrampoline(Abi::Wasm, id);
    let signature = codegen::wasm_call_signature(&trampoline.signature);
    Emitter::build(session, key, signature, |e, params| {
        let [operand] = params[..] else {
            bail!("{key}: a resource built-in has one parameter");
        };
        match trampoline.kind {
            TrampolineKind::ResourceNew { resource, instance } => {
                check_may_leave(e, instance);
                let tag = HandleEntry::tag(HandleEntry::OWN, resource);
                let index = handles::table_new(e, instance, tag, operand);
                e.builder.ins().return_(&[index]);
            }
            TrampolineKind::ResourceRep { resource, instance } => {
                let entry = handles::table_rep(e, instance, resource, operand, Allowed::Own);
                e.builder.ins().return_(&[entry.rep]);
            }
            TrampolineKind::ResourceDrop { resource, instance } => {
                check_may_leave(e, instance);
                resource_drop(e, resource, instance, operand);
                e.builder.ins().return_(&[]);
            }
            _ => bail!("{key} is no resource built-in"),
        }
        Ok(())
    })
}

/// Emits the removal of the handle at `index` and what follows from it.
fn resource_drop(
    e: &mut Emitter<'_, '_>,
    resource: ResourceId,
    instance: ComponentInstanceId,
    index: Value,
) {
    let session = e.session;
    let defined_here = matches!(
        session.program.resources[resource].info,
        Resource::Defined { instance: definer, .. } if definer == instance
    );
    // The defining instance gets representations instead of borrowed handles, so it has none.
    let allowed = if defined_here {
        Allowed::Own
    } else {
        Allowed::OwnOrBorrow
    };
    let entry = handles::table_rep(e, instance, resource, index, allowed);
    handles::trap_if_lent(e, &entry);
    handles::table_free(e, instance, index, entry.address);
    if defined_here {
        destroy(e, resource, entry.rep);
        return;
    }

    let borrowed = e.builder.create_block();
    let owned = e.builder.create_block();
    let done = e.builder.create_block();
    let tag = e.i32(HandleEntry::tag(HandleEntry::OWN, resource));
    let is_owned = e.builder.ins().icmp(IntCC::Equal, entry.tag, tag);
    e.builder.ins().brif(is_owned, owned, &[], borrowed, &[]);

    e.start(borrowed);
    borrows::drop_borrow(e, instance, &entry);
    e.builder.ins().jump(done, &[]);

    e.start(owned);
    destroy(e, resource, entry.rep);
    e.builder.ins().jump(done, &[]);

    e.start(done);
}

/// Emits the end of an owned resource, whose handle is gone.
///
/// `pub` for whoever must drop handles on the way, such as a trampoline that cannot deliver them.
pub(crate) fn destroy(e: &mut Emitter<'_, '_>, resource: ResourceId, rep: Value) {
    let definition = &e.session.program.resources[resource];
    match definition.info {
        Resource::Imported { .. } => {
            let number = e.i32(resource.0);
            let failed = e.value_of(Builtin::HostResourceDrop, &[number, rep]);
            e.trap_if(failed, TrapCode::HostError, None);
            // The host may have run for long.
            let interrupt = e.load_root(types::I32, root::INTERRUPT);
            e.trap_if(interrupt, TrapCode::Interrupt, None);
        }
        Resource::Defined { instance, .. } => {
            if let Some(destructor) = definition.destructor {
                let saved = cells::begin_call(e, instance, &[destructor], None);
                e.call_core(destructor, &destructor_signature(), &[rep]);
                cells::end_call(e, saved);
            }
        }
    }
}

/// The core type of every destructor: `(i32)`.
pub(crate) fn destructor_signature() -> CoreSignature {
    CoreSignature {
        params: [CoreType::I32].into(),
        results: [].into(),
    }
}

/// The wasm-call body of a drop that the host drives: `tail fn(ctx0, rep: i32)`.
///
/// # Errors
/// If the host defines the resource itself.
pub(crate) fn resource_drop_body(
    session: &Session<'_>,
    resource: ResourceId,
) -> Result<ir::Function> {
    let key = FuncKey::ResourceDrop(Abi::Wasm, resource);
    let definition = session
        .program
        .resources
        .get(resource)
        .with_context(|| format!("{key}: the component has no such resource"))?;
    if let Resource::Imported { path } = &definition.info {
        bail!("{key}: {} is the host's own resource", path.join("#"));
    }
    let signature = codegen::wasm_call_signature(&body_signature(key)?);
    Emitter::build(session, key, signature, |e, params| {
        destroy(e, resource, params[0]);
        e.builder.ins().return_(&[]);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::CoreFunc;
    use crate::trampolines::testing::{self, compile, with_session};
    use trampette_artifact::ids::{CoreInstanceId, DefinedFunc};
    use trampette_artifact::key::SymbolKey;

    /// What a function calls, in order of first mention.
    fn callees(func: &ir::Function) -> Vec<FuncKey> {
        let names = func.params.user_named_funcs().values();
        names
            .filter_map(
                |name| match SymbolKey::decode(name.namespace, name.index)? {
                    SymbolKey::Func(key) => Some(key),
                    SymbolKey::Data(_) => None,
                },
            )
            .collect()
    }

    const RAISE: FuncKey = FuncKey::Builtin(Builtin::Raise);

    #[test]
    fn built_ins_call_what_they_need_and_nothing_else() {
        let destructor =
            |instance| CoreFunc::Module(CoreInstanceId(instance), DefinedFunc(0)).key();
        let grow = FuncKey::Builtin(Builtin::HandleTableGrow);
        let host_drop = FuncKey::Builtin(Builtin::HostResourceDrop);
        with_session(|session| {
            for (id, expected) in [
                (0, vec![RAISE, grow]),
                (1, vec![RAISE]),
                (2, vec![RAISE, destructor(0)]),
                (3, vec![RAISE, destructor(1)]),
                (4, vec![RAISE]),
                (5, vec![RAISE, host_drop]),
            ] {
                let key = FuncKey::ComponentTrampoline(Abi::Wasm, TrampolineId(id));
                let func = crate::trampolines::build(session, key).unwrap();
                assert_eq!(callees(&func), expected, "{key}");
                compile(session, &func);
            }
        });
    }

    #[test]
    fn the_host_drops_what_guests_define() {
        with_session(|session| {
            for resource in [testing::ROOTS, testing::CHILDS, testing::PLAIN] {
                let func = resource_drop_body(session, resource).unwrap();
                compile(session, &func);
            }
            let error = resource_drop_body(session, testing::IMPORTED).unwrap_err();
            assert!(error.to_string().contains("host#stream"), "{error}");
        });
    }
}
