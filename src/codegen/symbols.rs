//! Names of functions and data in CLIF. Everything is colocated: only PC-relative relocations.

use super::native_signature;
use crate::layout::Layout;
use cranelift_codegen::ir::{self, InstBuilder, types};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilder;
use trampette_artifact::builtin::{Builtin, Scalar};
use trampette_artifact::key::{DataKey, FuncKey, SymbolKey};
use trampette_artifact::tables::FUNCTION_ENTRY_SIZE_LOG2;

/// The name of a function or data, and whether `func` has not used it before: then there is nothing
/// of that name to look for.
fn external_name(func: &mut ir::Function, key: SymbolKey) -> (ir::ExternalName, bool) {
    let (namespace, index) = key.encode();
    let before = func.params.user_named_funcs().len();
    let name = func.declare_imported_user_function(ir::UserExternalName { namespace, index });
    let is_new = func.params.user_named_funcs().len() > before;
    (ir::ExternalName::user(name), is_new)
}

/// Makes `key` callable from `func`; once, however often it is asked for.
pub(crate) fn declare_function(
    func: &mut ir::Function,
    key: FuncKey,
    signature: ir::Signature,
) -> ir::FuncRef {
    let (name, is_new) = external_name(func, key.into());
    if !is_new {
        let mut callees = func.dfg.ext_funcs.iter();
        if let Some((callee, _)) = callees.find(|(_, callee)| callee.name == name) {
            return callee;
        }
    }
    let signature = func.import_signature(signature);
    func.import_function(ir::ExtFuncData {
        name,
        signature,
        colocated: true,
        patchable: false,
    })
}

/// The address of a function's [`FunctionEntry`](trampette_artifact::tables::FunctionEntry); `None`
/// if no function of the component is a value. The id may be anything: it is masked to the table's
/// length, a power of two.
pub(crate) fn function_entry(
    builder: &mut FunctionBuilder<'_>,
    layout: &Layout,
    id: ir::Value,
) -> Option<ir::Value> {
    let mask = layout.function_table_length().checked_sub(1)?;
    let mask = builder.ins().iconst(types::I32, i64::from(mask));
    let id = builder.ins().band(id, mask);
    let id = builder.ins().uextend(types::I64, id);
    let shift = i64::from(FUNCTION_ENTRY_SIZE_LOG2);
    let shift = builder.ins().iconst(types::I64, shift);
    let offset = builder.ins().ishl(id, shift);
    let table = data_address(builder, DataKey::FunctionTable);
    Some(builder.ins().iadd(table, offset))
}

/// The address of data, by a PC-relative `lea`.
pub(crate) fn data_address(builder: &mut FunctionBuilder<'_>, key: DataKey) -> ir::Value {
    let (name, is_new) = external_name(builder.func, key.into());
    // One global value a name, so that Cranelift sees equal addresses.
    let is_it = |data: &ir::GlobalValueData| matches!(data, ir::GlobalValueData::Symbol { name: other, .. } if *other == name);
    let mut known = builder.func.global_values.iter();
    let known = match is_new {
        true => None,
        false => known.find(|(_, data)| is_it(data)),
    };
    let global = match known {
        Some((global, _)) => global,
        None => builder
            .func
            .create_global_value(ir::GlobalValueData::Symbol {
                name,
                offset: 0.into(),
                colocated: true,
                tls: false,
            }),
    };
    builder.ins().symbol_value(types::I64, global)
}

fn scalar_type(scalar: Scalar) -> ir::Type {
    match scalar {
        Scalar::I32 => types::I32,
        Scalar::I64 => types::I64,
    }
}

/// The signature of a builtin's trampoline: wasm-call, the context first.
pub(crate) fn builtin_signature(builtin: Builtin) -> ir::Signature {
    let declared = builtin.signature();
    let mut sig = ir::Signature::new(CallConv::Tail);
    let context = ir::AbiParam::special(types::I64, ir::ArgumentPurpose::VMContext);
    sig.params.push(context);
    sig.params.extend(
        declared
            .params
            .iter()
            .map(|s| ir::AbiParam::new(scalar_type(*s))),
    );
    sig.returns
        .extend(declared.result.map(|s| ir::AbiParam::new(scalar_type(s))));
    sig
}

/// Calls a builtin, without its trampoline if it takes no root; `context` is the caller's own
/// context pointer. Returns the result, if the builtin has one.
pub(crate) fn call_service(
    builder: &mut FunctionBuilder<'_>,
    context: ir::Value,
    builtin: Builtin,
    args: &[ir::Value],
) -> Option<ir::Value> {
    match builtin.signature().root {
        true => call_builtin(builder, context, builtin, args),
        false => call_pure_builtin(builder, builtin, args),
    }
}

/// Calls a builtin through its trampoline; `context` is the caller's own context pointer. Returns
/// the result, if the builtin has one.
pub(crate) fn call_builtin(
    builder: &mut FunctionBuilder<'_>,
    context: ir::Value,
    builtin: Builtin,
    args: &[ir::Value],
) -> Option<ir::Value> {
    let signature = builtin_signature(builtin);
    let callee = declare_function(builder.func, FuncKey::Builtin(builtin), signature);
    let mut all = vec![context];
    all.extend(args);
    let call = builder.ins().call(callee, &all);
    builder.inst_results(call).first().copied()
}

/// Calls a builtin that takes no root by its host address, without a trampoline in between: what it
/// saves matters for short copies. Such builtins never trap, so that no backtrace starts there.
fn call_pure_builtin(
    builder: &mut FunctionBuilder<'_>,
    builtin: Builtin,
    args: &[ir::Value],
) -> Option<ir::Value> {
    let declared = builtin.signature();
    debug_assert!(!declared.root, "{builtin:?} takes a root");
    let types = |scalars: &[Scalar]| -> Vec<ir::Type> {
        scalars.iter().map(|scalar| scalar_type(*scalar)).collect()
    };
    let signature = native_signature(&types(declared.params), &types(declared.result.as_slice()));
    let address = builtin_address(builder, builtin);
    let signature = builder.import_signature(signature);
    let call = builder.ins().call_indirect(signature, address, args);
    builder.inst_results(call).first().copied()
}

/// The host's address of a builtin, which never changes while the artifact is mapped.
pub(crate) fn builtin_address(builder: &mut FunctionBuilder<'_>, builtin: Builtin) -> ir::Value {
    let table = data_address(builder, DataKey::Got);
    let flags = ir::MemFlagsData::trusted().with_readonly();
    let offset = 8 * i32::from(builtin as u8);
    builder.ins().load(types::I64, flags, table, offset)
}
