//! Names of functions and data in CLIF. Everything is colocated: only PC-relative relocations.

use cranelift_codegen::ir::{self, InstBuilder, types};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilder;
use trampette_artifact::builtin::{Builtin, Scalar};
use trampette_artifact::key::{DataKey, FuncKey, SymbolKey};

fn external_name(func: &mut ir::Function, key: SymbolKey) -> ir::ExternalName {
    let (namespace, index) = key.encode();
    let name = func.declare_imported_user_function(ir::UserExternalName { namespace, index });
    ir::ExternalName::user(name)
}

/// Makes `key` callable from `func`; once, however often it is asked for.
pub fn declare_function(
    func: &mut ir::Function,
    key: FuncKey,
    signature: ir::Signature,
) -> ir::FuncRef {
    let name = external_name(func, key.into());
    let known = func
        .dfg
        .ext_funcs
        .iter()
        .find(|(_, callee)| callee.name == name);
    if let Some((callee, _)) = known {
        return callee;
    }
    let signature = func.import_signature(signature);
    func.import_function(ir::ExtFuncData {
        name,
        signature,
        colocated: true,
        patchable: false,
    })
}

/// The address of data, by a PC-relative `lea`.
pub fn data_address(builder: &mut FunctionBuilder<'_>, key: DataKey) -> ir::Value {
    let name = external_name(builder.func, key.into());
    let global = builder
        .func
        .create_global_value(ir::GlobalValueData::Symbol {
            name,
            offset: 0.into(),
            colocated: true,
            tls: false,
        });
    builder.ins().symbol_value(types::I64, global)
}

fn scalar_type(scalar: Scalar) -> ir::Type {
    match scalar {
        Scalar::I32 => types::I32,
        Scalar::I64 => types::I64,
        Scalar::F32 => types::F32,
        Scalar::F64 => types::F64,
        Scalar::V128 => types::F32X4,
    }
}

/// The signature of a builtin's trampoline: wasm-call, the context first.
pub fn builtin_signature(builtin: Builtin) -> ir::Signature {
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

/// Calls a builtin through its trampoline; `context` is the caller's own context pointer. Returns
/// the result, if the builtin has one.
pub fn call_builtin(
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
