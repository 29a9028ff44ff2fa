//! Wasm caller to a runtime service: changes from the `tail` convention to the platform's. Only
//! services that take a root are called so; the others directly ([`codegen::call_service`]).
//!
//! The host's address comes from `.got.trampette`, which is read-only once the artifact is mapped.
//! The frame of such a trampoline is what a backtrace starts from, and what the stub behind
//! [`Builtin::Raise`] finds its caller by (frame pointers are always kept).

use crate::codegen::emitter::Emitter;
use crate::codegen::{self, Session};
use anyhow::Result;
use cranelift_codegen::ir::{self, InstBuilder, types};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::key::FuncKey;
use trampette_artifact::trap::TrapCode;

/// The trampoline of a builtin, called as [`codegen::call_builtin`] does. Its context is that of
/// the caller's own slab, whose root the builtin gets.
///
/// # Errors
/// Never; the result is uniform over all producers.
pub(crate) fn builtin_trampoline(session: &Session<'_>, builtin: Builtin) -> Result<ir::Function> {
    let key = FuncKey::Builtin(builtin);
    let signature = codegen::builtin_signature(builtin);
    let types_of = |params: &[ir::AbiParam]| -> Vec<ir::Type> {
        params.iter().map(|param| param.value_type).collect()
    };
    // The same parameters without the context, which becomes a root or nothing.
    let mut params = types_of(&signature.params[1..]);
    if builtin.signature().root {
        params.insert(0, types::I64);
    }
    let host = codegen::native_signature(&params, &types_of(&signature.returns));

    Emitter::build_unlimited(session, key, signature, |e, mut args| {
        if builtin.signature().root {
            args.insert(0, e.root());
        }
        let address = codegen::builtin_address(&mut e.builder, builtin);
        let host = e.builder.import_signature(host);
        let call = e.builder.ins().call_indirect(host, address, &args);
        let results = e.builder.inst_results(call).to_vec();
        if Builtin::ALL
            .iter()
            .any(|short| short.long() == Some(builtin))
        {
            // Here rather than at every call, which would have to keep its context.
            e.trap_if(results[0], TrapCode::Interrupt, None);
        }
        e.builder.ins().return_(&results);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trampolines::testing::{compile, with_session};
    use cranelift_codegen::binemit::Reloc;

    #[test]
    fn builtins_compile_to_pc_relative_references() {
        with_session(|session| {
            for builtin in Builtin::ALL {
                let func = builtin_trampoline(session, *builtin).unwrap();
                let code = compile(session, &func);
                // The table, and what long copies and fills trap with.
                let traps = Builtin::ALL.iter().any(|it| it.long() == Some(*builtin));
                let relocations = code.buffer.relocs();
                assert_eq!(relocations.len(), 1 + usize::from(traps), "{builtin:?}");
                for relocation in relocations {
                    assert_eq!(relocation.kind, Reloc::X86CallPCRel4, "{builtin:?}");
                }
                assert_eq!(code.buffer.traps().is_empty(), !traps, "{builtin:?}");
            }
        });
    }
}
