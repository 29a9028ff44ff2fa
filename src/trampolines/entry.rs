//! Entries: how the host gets into compiled code, and where a trap gets back out.
//!
//! Every entry is thin: it stores its stack pointer in slab 0's root (the activation record), makes
//! **one** `try_call` to a `tail` body in which everything happens, and returns a status. A trap
//! resumes at the handler of the innermost entry, which the runtime finds by the record. Only the
//! `tail` convention treats every register as clobbered at the landing pad, and nothing outside the
//! `try_call` may trap: [`verify_entry`] checks both for the compile driver.
//!
//! The record is a component's lock too: a synchronous component cannot be entered again while it
//! runs, while a view of its results is alive, or after a trap, so an entry that finds a record
//! refuses. Core functions may call each other through the host; their entries restore the record
//! that was there.

use crate::codegen::emitter::Emitter;
use crate::codegen::values::{Stride, load_values, store_values};
use crate::codegen::{self, Session};
use crate::program::intrinsic::intrinsic_signature;
use crate::program::module::{CoreSignature, CoreType};
use crate::program::{CoreFunc, Instantiation};
use crate::trampolines::resources::destructor_signature;
use anyhow::{Context, Result, bail, ensure};
use cranelift_codegen::ir::{
    self, BlockArg, BlockCall, ExceptionTableData, ExceptionTableItem, InstBuilder, Opcode, Value,
    types,
};
use cranelift_codegen::isa::CallConv;
use trampette_artifact::ids::{CoreInstanceId, ExportId, UnitId};
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::layout::{Status, root};
use trampette_artifact::metadata::ExportItem;

/// What an entry does with the record that is the component's lock, besides storing its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lock {
    /// Returns [`Status::CannotEnter`] if there is one; clears it on success.
    Hold,
    /// The same, but leaves it to the post-return entry to clear it.
    Take,
    /// Clears it on success.
    Release,
    /// Core instances do not lock: it is restored on both ways out.
    None,
}

/// A native-call entry: `extern "C"`, the context of slab 0 first, returns a [`Status`] as `i32`.
///
/// Keys: [`FuncKey::ExportEntry`] `(ctx0, args, results)`, [`FuncKey::PostReturn`] `(ctx0)`,
/// [`FuncKey::ResourceDrop`] `(ctx0, rep: i32)`, [`FuncKey::Startup`] `(ctx0)`, and the pieces of
/// tasks with the parameters that their keys say, all of [`Abi::Native`]. The entry calls the same
/// key of [`Abi::Wasm`], whose type is [`body_signature`].
///
/// # Errors
/// If `key` is another, or names an export that the program does not have.
pub(crate) fn native_entry(session: &Session<'_>, key: FuncKey) -> Result<ir::Function> {
    let (body, lock) = match key {
        FuncKey::ExportEntry(Abi::Native, id) => {
            let lock = if has_post_return(session, id)? {
                Lock::Take
            } else {
                Lock::Hold
            };
            (FuncKey::ExportEntry(Abi::Wasm, id), lock)
        }
        FuncKey::PostReturn(Abi::Native, id) => (FuncKey::PostReturn(Abi::Wasm, id), Lock::Release),
        // A drop that the host drives enters the component like a call.
        FuncKey::ResourceDrop(Abi::Native, id) => {
            (FuncKey::ResourceDrop(Abi::Wasm, id), Lock::Hold)
        }
        FuncKey::Startup(Abi::Native, step) => {
            let lock = match session.program.instantiation {
                Instantiation::AtOnce => Lock::Hold,
                Instantiation::StepByStep => Lock::None,
            };
            (FuncKey::Startup(Abi::Wasm, step), lock)
        }
        // The runtime calls pieces of tasks while the component runs.
        FuncKey::TaskBody(Abi::Native, id) => (FuncKey::TaskBody(Abi::Wasm, id), Lock::None),
        FuncKey::TaskCallback(Abi::Native, id) => {
            (FuncKey::TaskCallback(Abi::Wasm, id), Lock::None)
        }
        FuncKey::TaskResult(Abi::Native, id) => (FuncKey::TaskResult(Abi::Wasm, id), Lock::None),
        FuncKey::ThreadStart(Abi::Native, width) => {
            (FuncKey::ThreadStart(Abi::Wasm, width), Lock::None)
        }
        FuncKey::ElementCopy(Abi::Native, id) => (FuncKey::ElementCopy(Abi::Wasm, id), Lock::None),
        FuncKey::ImportResult(Abi::Native, id) => {
            (FuncKey::ImportResult(Abi::Wasm, id), Lock::None)
        }
        _ => bail!("{key} is no native-call entry"),
    };
    let signature = codegen::wasm_call_signature(&body_signature(body)?);
    let params: Vec<_> = signature.params.iter().map(|p| p.value_type).collect();
    let native = codegen::native_signature(&params, &[types::I32]);

    Emitter::build_unlimited(session, key, native, |e, params| {
        if matches!(lock, Lock::Hold | Lock::Take) {
            refuse_if_locked(e);
        }
        let mut args = vec![e.context];
        args.extend(params);
        call_body(e, body, signature, &args, lock, Status::Trap as u32);
        let status = e.i32(Status::Ok as u32);
        e.builder.ins().return_(&[status]);
        Ok(())
    })
}

/// The parameters after the context of a native entry's body; bodies have no results.
///
/// # Errors
/// If `key` is no such body.
pub(crate) fn body_signature(key: FuncKey) -> Result<CoreSignature> {
    let params: &[CoreType] = match key {
        FuncKey::ExportEntry(Abi::Wasm, _) => &[CoreType::I64, CoreType::I64],
        FuncKey::PostReturn(Abi::Wasm, _) | FuncKey::Startup(Abi::Wasm, _) => &[],
        FuncKey::ResourceDrop(Abi::Wasm, _) => return Ok(destructor_signature()),
        FuncKey::TaskBody(Abi::Wasm, _) => &[CoreType::I64],
        FuncKey::TaskCallback(Abi::Wasm, _) => {
            &[CoreType::I64, CoreType::I32, CoreType::I32, CoreType::I32]
        }
        FuncKey::ThreadStart(Abi::Wasm, _) => &[CoreType::I32, CoreType::I64],
        FuncKey::TaskResult(Abi::Wasm, _) | FuncKey::ImportResult(Abi::Wasm, _) => {
            &[CoreType::I64, CoreType::I64]
        }
        FuncKey::ElementCopy(Abi::Wasm, _) => &[CoreType::I64, CoreType::I64, CoreType::I64],
        _ => bail!("{key} is not the body of a native-call entry"),
    };
    Ok(CoreSignature {
        params: params.into(),
        results: [].into(),
    })
}

/// Whether a post-return entry ends the calls of an export.
fn has_post_return(session: &Session<'_>, export: ExportId) -> Result<bool> {
    let mut exports = session.program.exports.iter();
    exports
        .find_map(|item| match item.item {
            ExportItem::Function {
                id, post_return, ..
            } if id == export => Some(post_return),
            _ => None,
        })
        .with_context(|| format!("{export}: the component exports no such function"))
}

/// An array-call entry: `extern "C" fn(ctx0, caller_ctx, values: *mut ValRaw, len: usize) -> bool`
/// (true is success) around the wasm-call function. `values` holds the parameters, then the
/// results; it has room for the larger number of the two, which the caller has checked against
/// `len`.
///
/// Keys: [`FuncKey::ArrayToWasm`], and [`FuncKey::ComponentTrampoline`],
/// [`FuncKey::UnsafeIntrinsic`] and [`FuncKey::ResourceDrop`] of [`Abi::Array`].
///
/// # Errors
/// If `key` is another, or names what the program does not have.
pub(crate) fn array_entry(session: &Session<'_>, key: FuncKey) -> Result<ir::Function> {
    let program = session.program;
    let (body, signature, home) = match key {
        FuncKey::ArrayToWasm(UnitId(instance), func) => {
            let callee = CoreFunc::Module(CoreInstanceId(instance), func);
            let signature = program
                .signature(callee)
                .with_context(|| format!("{key}: the program has no such function"))?;
            (callee.key(), signature, Some(callee))
        }
        FuncKey::ComponentTrampoline(Abi::Array, id) => {
            let trampoline = program
                .trampolines
                .get(id)
                .with_context(|| format!("{key}: the program has no such trampoline"))?;
            let body = FuncKey::ComponentTrampoline(Abi::Wasm, id);
            (body, trampoline.signature.clone(), None)
        }
        FuncKey::UnsafeIntrinsic(Abi::Array, intrinsic) => (
            FuncKey::UnsafeIntrinsic(Abi::Wasm, intrinsic),
            intrinsic_signature(intrinsic),
            None,
        ),
        FuncKey::ResourceDrop(Abi::Array, id) => (
            FuncKey::ResourceDrop(Abi::Wasm, id),
            destructor_signature(),
            None,
        ),
        _ => bail!("{key} is no array-call entry"),
    };

    // A C `bool` is the low byte of the result.
    let array = codegen::native_signature(&[types::I64; 4], &[types::I32]);
    Emitter::build_unlimited(session, key, array, |e, params| {
        let [_caller, values, _length] = params[..] else {
            bail!("{key}: array-call entries have four parameters");
        };
        let mut args = vec![match home {
            Some(callee) => e.slab_context(session.layout.home(callee)),
            None => e.context,
        }];
        args.extend(load_values(
            e,
            values,
            Stride::ARRAY_CALL,
            &signature.params,
        ));
        let callee = codegen::wasm_call_signature(&signature);
        let results = call_body(e, body, callee, &args, Lock::None, 0);
        store_values(e, values, Stride::ARRAY_CALL, &results);
        let success = e.i32(1);
        e.builder.ins().return_(&[success]);
        Ok(())
    })
}

/// Returns [`Status::CannotEnter`] if the component is locked.
fn refuse_if_locked(e: &mut Emitter<'_, '_>) {
    let locked = e.builder.create_block();
    let free = e.builder.create_block();
    e.builder.set_cold_block(locked);
    let record = e.load_root(types::I64, root::ENTRY_SP);
    e.builder.ins().brif(record, locked, &[], free, &[]);

    e.start(locked);
    let status = e.i32(Status::CannotEnter as u32);
    e.builder.ins().return_(&[status]);

    e.start(free);
}

/// Stores the activation record, calls the body, and does with the record what `lock` says. Goes on
/// where the body has returned, with its results; the handler returns `failure`.
fn call_body(
    e: &mut Emitter<'_, '_>,
    body: FuncKey,
    signature: ir::Signature,
    args: &[Value],
    lock: Lock,
    failure: u32,
) -> Vec<Value> {
    // The stack pointer here is the one of the call: frames do not change after the prologue.
    let stack_pointer = e.builder.ins().get_stack_pointer(types::I64);
    // Only entries of core modules on their own do not lock: in a component that runs, another
    // stack pointer here would change what names of borrow scopes mean (`borrows.rs`).
    let previous = (lock == Lock::None).then(|| e.load_root(types::I64, root::ENTRY_SP));
    e.store_root(stack_pointer, root::ENTRY_SP);

    let call = e.builder.create_block();
    let returned = e.builder.create_block();
    let handler = e.builder.create_block();
    let results: Vec<Value> = signature
        .returns
        .iter()
        .map(|ret| e.builder.append_block_param(returned, ret.value_type))
        .collect();
    // What the runtime passes in the two exception registers; the trap itself is in the store.
    let payload = [types::I64; 2].map(|ty| e.builder.append_block_param(handler, ty));
    e.builder.set_cold_block(handler);
    e.builder.ins().jump(call, &[]);

    e.start(call);
    let callee = codegen::declare_function(e.builder.func, body, signature);
    let dfg = &mut e.builder.func.dfg;
    let normal_args = (0..results.len() as u32).map(BlockArg::TryCallRet);
    let normal = BlockCall::new(returned, normal_args, &mut dfg.value_lists);
    let handler_args = (0..payload.len() as u32).map(BlockArg::TryCallExn);
    let exceptional = BlockCall::new(handler, handler_args, &mut dfg.value_lists);
    let table = ExceptionTableData::new(
        dfg.ext_funcs[callee].signature,
        normal,
        [ExceptionTableItem::Default(exceptional)],
    );
    let table = dfg.exception_tables.push(table);
    e.builder.ins().try_call(callee, args, table);

    e.start(handler);
    if let Some(previous) = previous {
        e.store_root(previous, root::ENTRY_SP);
    }
    let failure = e.i32(failure);
    e.builder.ins().return_(&[failure]);

    e.start(returned);
    let after = match lock {
        Lock::Hold | Lock::Release => Some(e.i64(0)),
        Lock::Take => None,
        Lock::None => previous,
    };
    if let Some(after) = after {
        e.store_root(after, root::ENTRY_SP);
    }
    results
}

/// Checks that a function is a thin entry: the platform's convention, no stack limit check, exactly
/// one call, which is a `try_call` of a `tail` function, alone in its block, with one handler for
/// everything; and nothing else that can trap. The compile driver runs it on every entry, after
/// inlining too.
///
/// # Errors
/// Says which rule is broken, and by which instruction.
pub(crate) fn verify_entry(func: &ir::Function) -> Result<()> {
    ensure!(
        func.signature.call_conv == CallConv::SystemV,
        "an entry has the platform's calling convention, not {}",
        func.signature.call_conv
    );
    ensure!(
        func.stack_limit.is_none(),
        "an entry's prologue must not trap"
    );
    let mut calls = 0;
    for block in func.layout.blocks() {
        for inst in func.layout.block_insts(block) {
            let data = &func.dfg.insts[inst];
            let opcode = data.opcode();
            if opcode == Opcode::TryCall {
                calls += 1;
                ensure!(
                    func.layout.first_inst(block) == Some(inst),
                    "the entry's `try_call` is not alone in its block"
                );
                verify_try_call(func, data)?;
                continue;
            }
            ensure!(
                !opcode.is_call() && !matches!(opcode, Opcode::TryCallIndirect),
                "an entry calls besides its `try_call`: {}",
                func.dfg.display_inst(inst)
            );
            let may_fault = data
                .memflags_data(&func.dfg)
                .is_some_and(|flags| flags.trap_code().is_some());
            let traps = opcode.can_trap() || matches!(opcode, Opcode::Trap);
            ensure!(
                !may_fault && (!traps || data.memflags().is_some()),
                "an entry may trap outside its `try_call`: {}",
                func.dfg.display_inst(inst)
            );
        }
    }
    ensure!(calls == 1, "an entry has one `try_call`, this has {calls}");
    Ok(())
}

fn verify_try_call(func: &ir::Function, data: &ir::InstructionData) -> Result<()> {
    let ir::InstructionData::TryCall {
        func_ref,
        exception,
        ..
    } = *data
    else {
        bail!("a `try_call` has the form of another instruction");
    };
    let signature = func.dfg.ext_funcs[func_ref].signature;
    ensure!(
        func.dfg.signatures[signature].call_conv == CallConv::Tail,
        "an entry's body has the `tail` convention, which clobbers every register"
    );
    let items: Vec<_> = func.dfg.exception_tables[exception].items().collect();
    ensure!(
        matches!(items[..], [ExceptionTableItem::Default(_)]),
        "an entry's `try_call` has one handler, for everything"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trampolines::testing::{self, CHILDS, compile, with_session};
    use cranelift_codegen::FinalizedMachExceptionHandler;
    use trampette_artifact::ids::{DefinedFunc, TrampolineId};
    use trampette_artifact::key::Intrinsic;

    const NATIVE: [FuncKey; 5] = [
        FuncKey::ExportEntry(Abi::Native, ExportId(0)),
        FuncKey::ExportEntry(Abi::Native, ExportId(1)),
        FuncKey::PostReturn(Abi::Native, ExportId(1)),
        FuncKey::ResourceDrop(Abi::Native, CHILDS),
        FuncKey::Startup(Abi::Native, 0),
    ];
    const ARRAY: [FuncKey; 7] = [
        FuncKey::ArrayToWasm(UnitId(0), DefinedFunc(0)),
        FuncKey::ArrayToWasm(UnitId(0), DefinedFunc(1)),
        FuncKey::ArrayToWasm(UnitId(1), DefinedFunc(1)),
        FuncKey::ArrayToWasm(UnitId(1), DefinedFunc(2)),
        FuncKey::ComponentTrampoline(Abi::Array, TrampolineId(0)),
        FuncKey::UnsafeIntrinsic(Abi::Array, Intrinsic::U8CheckedNativeStore),
        FuncKey::ResourceDrop(Abi::Array, CHILDS),
    ];

    #[test]
    fn entries_are_thin_and_have_one_handler() {
        with_session(|session| {
            for key in NATIVE.into_iter().chain(ARRAY) {
                let func = crate::trampolines::build(session, key).unwrap();
                assert!(crate::trampolines::is_entry(key));
                verify_entry(&func).unwrap_or_else(|error| panic!("{key}: {error}\n{func}"));
                let code = compile(session, &func);
                let sites: Vec<_> = code.buffer.call_sites().collect();
                let [site] = &sites[..] else {
                    panic!("{key}: {} call sites", sites.len());
                };
                let [FinalizedMachExceptionHandler::Default(handler)] = site.exception_handlers
                else {
                    panic!("{key}: {:?}", site.exception_handlers);
                };
                assert!(*handler < code.code_info().total_size, "{key}");
                assert!(site.frame_offset.is_some(), "{key}");
                assert!(code.buffer.traps().is_empty(), "{key} traps");
            }
        });
    }

    #[test]
    fn the_record_is_cleared_by_native_entries_only() {
        let writes = |session: &Session<'_>, key| -> Vec<i64> {
            let func = crate::trampolines::build(session, key).unwrap();
            stores_to(&func, root::ENTRY_SP.0 as i32)
        };
        with_session(|session| {
            assert_eq!(writes(session, NATIVE[0]), [0]);
            assert_eq!(writes(session, NATIVE[1]), [0; 0]);
            assert_eq!(writes(session, NATIVE[2]), [0]);
            assert_eq!(writes(session, NATIVE[3]), [0]);
            assert_eq!(writes(session, NATIVE[4]), [0]);
            for key in ARRAY {
                assert_eq!(writes(session, key), [0; 0], "{key}");
            }
        });
    }

    /// The constants that a function stores at a displacement.
    fn stores_to(func: &ir::Function, displacement: i32) -> Vec<i64> {
        let mut constants = Vec::new();
        for block in func.layout.blocks() {
            for inst in func.layout.block_insts(block) {
                let ir::InstructionData::Store { args, offset, .. } = func.dfg.insts[inst] else {
                    continue;
                };
                if i32::from(offset) != displacement {
                    continue;
                }
                let Some(definition) = func.dfg.value_def(args[0]).inst() else {
                    continue;
                };
                if let ir::InstructionData::UnaryImm { imm, .. } = func.dfg.insts[definition] {
                    constants.push(imm.bits());
                }
            }
        }
        constants
    }

    #[test]
    fn unknown_keys_are_errors() {
        with_session(|session| {
            for (key, text) in [
                (
                    FuncKey::ExportEntry(Abi::Native, ExportId(9)),
                    "the component exports no such function",
                ),
                (
                    FuncKey::ArrayToWasm(UnitId(0), DefinedFunc(3)),
                    "no such function",
                ),
                (
                    FuncKey::ArrayToWasm(UnitId(7), DefinedFunc(0)),
                    "no such function",
                ),
                (
                    FuncKey::ComponentTrampoline(Abi::Array, TrampolineId(99)),
                    "no such trampoline",
                ),
                (
                    FuncKey::Startup(Abi::Array, 0),
                    "does not exist in that convention",
                ),
            ] {
                let error = crate::trampolines::build(session, key).unwrap_err();
                assert!(format!("{error:#}").contains(text), "{error:#}");
            }
        });
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        with_session(|session| {
            let body = crate::trampolines::build(session, FuncKey::ResourceDrop(Abi::Wasm, CHILDS));
            let error = verify_entry(&body.unwrap()).unwrap_err().to_string();
            assert!(error.contains("calling convention"), "{error}");

            // A second call, a trap, an access that may fault, and no call at all.
            type Emit = fn(&mut Emitter<'_, '_>, &[Value]);
            let cases: [(Emit, &str); 4] = [
                (
                    |e, _| {
                        let callee = testing::signature(&[], &[]);
                        e.call_core(
                            CoreFunc::Module(CoreInstanceId(0), DefinedFunc(2)),
                            &callee,
                            &[],
                        );
                    },
                    "calls besides",
                ),
                (
                    |e, params| {
                        e.builder.ins().udiv(params[0], params[1]);
                    },
                    "may trap outside",
                ),
                (
                    |e, params| {
                        let flags = ir::MemFlagsData::new();
                        e.builder.ins().load(types::I64, flags, params[0], 0);
                    },
                    "may trap outside",
                ),
                (|_, _| {}, "has one `try_call`, this has 0"),
            ];
            for (emit, text) in cases {
                let signature = codegen::native_signature(&[types::I64; 3], &[types::I32]);
                let func = Emitter::build_unlimited(session, NATIVE[0], signature, |e, params| {
                    emit(e, &params);
                    let status = e.i32(0);
                    e.builder.ins().return_(&[status]);
                    Ok(())
                })
                .unwrap();
                let error = verify_entry(&func).unwrap_err().to_string();
                assert!(error.contains(text), "{error}");
            }
        });
    }
}
