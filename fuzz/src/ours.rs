//! Running cases with Trampette.

use crate::compose::{Composition, SIGNATURES, host_name};
use crate::generate::{FUEL, MEMORY_LIMIT, TABLE_LIMIT};
use crate::interface::{CoreCase, Item};
use crate::random::hash;
use crate::trace::{HostCall, Outcome, Trace};
use crate::value::{HostFailure, Type, Value, host_function};
use anyhow::{Context, Result, anyhow};
use std::panic::{AssertUnwindSafe, catch_unwind};
use trampette::{Artifact, CompileOptions};
use trampette_runtime::{
    Component, CoreExtern, CoreHost, CoreInstance, CoreVal, Instance, Linker, Store, StoreLimits,
    Trap, Val,
};

type Log = Vec<HostCall>;

fn from_core(value: CoreVal) -> Value {
    match value {
        CoreVal::I32(value) => Value::I32(value),
        CoreVal::I64(value) => Value::I64(value),
        CoreVal::F32(bits) => Value::F32(bits),
        CoreVal::F64(bits) => Value::F64(bits),
        CoreVal::V128(bytes) => Value::V128(u128::from_le_bytes(bytes)),
        CoreVal::FuncRef(reference) => Value::Func(reference.is_some()),
        CoreVal::ExternRef(number) => Value::Extern(number),
        CoreVal::ExnRef(reference) => Value::Exn(reference.is_some()),
    }
}

fn to_core(value: Value) -> CoreVal {
    match value {
        Value::I32(value) => CoreVal::I32(value),
        Value::I64(value) => CoreVal::I64(value),
        Value::F32(bits) => CoreVal::F32(bits),
        Value::F64(bits) => CoreVal::F64(bits),
        Value::V128(bits) => CoreVal::V128(bits.to_le_bytes()),
        Value::Func(_) => CoreVal::FuncRef(None),
        Value::Extern(number) => CoreVal::ExternRef(number),
        Value::Exn(_) => CoreVal::ExnRef(None),
    }
}

fn from_component(value: &Val) -> Value {
    match *value {
        Val::S32(value) => Value::I32(value),
        Val::S64(value) => Value::I64(value),
        Val::Float32(value) => Value::F32(value.to_bits()).with_one_nan(),
        Val::Float64(value) => Value::F64(value.to_bits()).with_one_nan(),
        ref other => unreachable!("{other:?} in a composition"),
    }
}

fn to_component(value: Value) -> Val {
    match value.with_one_nan() {
        Value::I32(value) => Val::S32(value),
        Value::I64(value) => Val::S64(value),
        Value::F32(bits) => Val::Float32(f32::from_bits(bits)),
        Value::F64(bits) => Val::Float64(f64::from_bits(bits)),
        other => unreachable!("{other:?} in a composition"),
    }
}

fn failed(error: &anyhow::Error) -> Outcome {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        Outcome::trap(trap.kind())
    } else if error.downcast_ref::<HostFailure>().is_some() {
        Outcome::HostFailed
    } else {
        Outcome::Failed(format!("{error:#}"))
    }
}

fn outcome(result: Result<Vec<Value>>) -> Outcome {
    match result {
        Ok(values) => Outcome::Returned(values),
        Err(error) => failed(&error),
    }
}

fn store() -> Store<Log> {
    let mut store = Store::new(Log::new());
    store.set_limits(
        StoreLimits::default()
            .with_memory_bytes(MEMORY_LIMIT as u64)
            .with_table_entries(TABLE_LIMIT as u64),
    );
    store
}

/// Compiles; a panic of the compiler is an error too.
fn compile(work: impl FnOnce() -> Result<Artifact>) -> Result<Component> {
    let artifact = catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
        anyhow!("panic: {}", text.unwrap_or_default())
    })??;
    artifact.load()
}

/// Runs a core module.
///
/// # Errors
/// If it is not compiled.
pub fn run_core(case: &CoreCase, options: &CompileOptions) -> Result<Trace> {
    let component = compile(|| trampette::compile_module(&case.wasm, options))?;
    let mut host = CoreHost::new();
    for (number, (module, name, item)) in case.interface.imports.iter().enumerate() {
        let signature = match item {
            Item::Func(_, Some(signature)) => signature,
            Item::Global(ty) => {
                let ty = Type::of(ty.content_type).context("a type without values")?;
                host.global(module, name, to_core(ty.zero()));
                continue;
            }
            _ => continue,
        };
        let results = signature.results.clone();
        host.func(
            module,
            name,
            move |mut caller: trampette_runtime::Caller<'_, Log>, arguments| {
                let arguments: Vec<_> = arguments.iter().map(|v| from_core(*v)).collect();
                let outcome = host_function(number, &arguments, &results);
                caller.data_mut().push(HostCall { number, arguments });
                Ok(outcome?.into_iter().map(to_core).collect())
            },
        );
    }
    let mut store = store();
    let mut trace = Trace::default();
    let instance = CoreInstance::new(&mut store, &component, host);
    let (instance, outcome) = match instance {
        Ok(instance) => (Some(instance), Outcome::Returned(Vec::new())),
        Err(error) => (None, failed(&error)),
    };
    trace.push("instantiate", outcome, std::mem::take(store.data_mut()));
    let Some(instance) = instance else {
        return Ok(trace);
    };
    let fuel = instance.get_global(&store, FUEL)?;
    for call in &case.calls {
        fuel.set(&mut store, CoreVal::I32(case.fuel))?;
        let arguments: Vec<_> = call.arguments.iter().map(|v| to_core(*v)).collect();
        let function = instance.get_func(&store, &call.name)?;
        let result = function.call(&mut store, &arguments);
        let result = result.map(|values| values.into_iter().map(from_core).collect());
        trace.push(
            call.to_string(),
            self::outcome(result),
            std::mem::take(store.data_mut()),
        );
        if trace.is_exhausted() {
            return Ok(trace);
        }
    }
    for (name, item) in case.state() {
        if matches!(item, Item::Tag(_)) {
            continue;
        }
        let values = match instance.export(&store, name)? {
            CoreExtern::Func(_) => continue,
            CoreExtern::Memory(memory) => {
                let mut bytes = vec![0; memory.len(&store)? as usize];
                memory.read(&store, 0, &mut bytes)?;
                vec![
                    Value::I64(bytes.len() as i64),
                    Value::I64(hash(&bytes) as i64),
                ]
            }
            CoreExtern::Table(table) => {
                let length = table.len(&store)?;
                let entries = (0..length).map(|index| Ok(from_core(table.get(&store, index)?)));
                entries.collect::<Result<Vec<_>>>()?
            }
            CoreExtern::Global(global) => vec![from_core(global.get(&store)?)],
        };
        trace.push(
            format!("read {name}"),
            Outcome::Returned(values),
            Vec::new(),
        );
    }
    Ok(trace)
}

/// Runs a composition.
///
/// # Errors
/// If it is not compiled.
pub fn run_composition(case: &Composition, options: &CompileOptions) -> Result<Trace> {
    let component = compile(|| trampette::compile_component(&case.wasm, options))?;
    let mut linker = Linker::<Log>::new();
    for (number, signature) in SIGNATURES.iter().enumerate() {
        linker
            .root()
            .func_new(&host_name(number), move |mut caller, arguments, results| {
                let arguments: Vec<_> = arguments.iter().map(from_component).collect();
                let outcome = host_function(number, &arguments, signature.results);
                caller.data_mut().push(HostCall { number, arguments });
                for (to, value) in results.iter_mut().zip(outcome?) {
                    *to = to_component(value);
                }
                Ok(())
            })?;
    }
    let mut trace = Trace::default();
    let mut live: Option<(Store<Log>, Instance)> = None;
    for call in &case.calls {
        if live.is_none() {
            let mut store = store();
            let instance = linker.instantiate(&mut store, &component);
            let log = std::mem::take(store.data_mut());
            match instance {
                Ok(instance) => {
                    trace.push("instantiate", Outcome::Returned(Vec::new()), log);
                    live = Some((store, instance));
                }
                Err(error) => {
                    trace.push("instantiate", failed(&error), log);
                    return Ok(trace);
                }
            }
        }
        let Some((store, instance)) = &mut live else {
            unreachable!("just made");
        };
        let mut invoke = |name: &str, arguments: &[Value]| {
            let function = instance.get_func(&mut *store, name);
            let function = function.ok_or_else(|| anyhow!("there is no `{name}`"))?;
            let arguments: Vec<_> = arguments.iter().map(|v| to_component(*v)).collect();
            let results = function.call(&mut *store, &arguments);
            let outcome = outcome(results.map(|all| all.iter().map(from_component).collect()));
            anyhow::Ok((outcome, std::mem::take(store.data_mut())))
        };
        if case.step(call, &mut trace, &mut invoke)? {
            live = None;
        }
        if trace.is_exhausted() {
            break;
        }
    }
    Ok(trace)
}
