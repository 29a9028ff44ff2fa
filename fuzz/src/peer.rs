//! Running cases with the peer. Its code is not optimised, so that what its optimiser shares with
//! ours does not hide anything.

use crate::compose::{Composition, SIGNATURES, host_name};
use crate::generate::{FUEL, MEMORY_LIMIT, TABLE_LIMIT};
use crate::interface::{CoreCase, Item};
use crate::random::hash;
use crate::trace::{HostCall, Outcome, Trace};
use crate::value::{HostFailure, Signature, Type, Value, host_function};
use anyhow::{Result, anyhow, bail};
use trampette_runtime::TrapCode;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, Instance, Linker, Type as ComponentType, Val as ComponentVal,
};
use wasmtime::{
    AsContext, AsContextMut, Config, Engine, Extern, ExternRef, ExternType, Func, Global, HeapType,
    Memory, Module, OptLevel, Ref, RefType, Store, StoreLimits, StoreLimitsBuilder, Table, Tag,
    ThrownException, Trap, Val, ValType,
};

/// The peer.
pub struct Peer {
    engine: Engine,
}

struct Data {
    log: Vec<HostCall>,
    limits: StoreLimits,
}

fn take_log(store: &mut Store<Data>) -> Vec<HostCall> {
    std::mem::take(&mut store.data_mut().log)
}

fn from_core(store: impl AsContext, value: &Val) -> Result<Value> {
    Ok(match value {
        Val::I32(value) => Value::I32(*value),
        Val::I64(value) => Value::I64(*value),
        Val::F32(bits) => Value::F32(*bits),
        Val::F64(bits) => Value::F64(*bits),
        Val::V128(bits) => Value::V128(bits.as_u128()),
        Val::FuncRef(reference) => Value::Func(reference.is_some()),
        Val::ExternRef(None) => Value::Extern(None),
        Val::ExternRef(Some(reference)) => {
            let data = reference.data(store.as_context())?;
            let number = data.and_then(|data| data.downcast_ref::<u32>().copied());
            Value::Extern(Some(number.ok_or_else(|| anyhow!("a foreign reference"))?))
        }
        Val::ExnRef(reference) => Value::Exn(reference.is_some()),
        other => bail!("{other:?} in a case"),
    })
}

fn to_core(store: impl AsContextMut, value: Value) -> Result<Val> {
    Ok(match value {
        Value::I32(value) => Val::I32(value),
        Value::I64(value) => Val::I64(value),
        Value::F32(bits) => Val::F32(bits),
        Value::F64(bits) => Val::F64(bits),
        Value::V128(bits) => Val::V128(bits.into()),
        Value::Func(_) => Val::FuncRef(None),
        Value::Extern(None) => Val::ExternRef(None),
        Value::Extern(Some(number)) => Val::ExternRef(Some(ExternRef::new(store, number)?)),
        Value::Exn(_) => Val::ExnRef(None),
    })
}

fn zero(ty: &ValType) -> Result<Val> {
    Ok(match ty {
        ValType::I32 => Val::I32(0),
        ValType::I64 => Val::I64(0),
        ValType::F32 => Val::F32(0),
        ValType::F64 => Val::F64(0),
        ValType::V128 => Val::V128(0.into()),
        ValType::Ref(ty) => match null(ty)? {
            Ref::Func(_) => Val::FuncRef(None),
            Ref::Extern(_) => Val::ExternRef(None),
            _ => Val::ExnRef(None),
        },
    })
}

fn null(ty: &RefType) -> Result<Ref> {
    Ok(match ty.heap_type() {
        HeapType::Func | HeapType::NoFunc | HeapType::ConcreteFunc(_) => Ref::Func(None),
        HeapType::Extern | HeapType::NoExtern => Ref::Extern(None),
        HeapType::Exn | HeapType::NoExn => Ref::Exn(None),
        other => bail!("{other:?} in a case"),
    })
}

fn from_component(value: &ComponentVal) -> Value {
    match *value {
        ComponentVal::S32(value) => Value::I32(value),
        ComponentVal::S64(value) => Value::I64(value),
        ComponentVal::Float32(value) => Value::F32(value.to_bits()).with_one_nan(),
        ComponentVal::Float64(value) => Value::F64(value.to_bits()).with_one_nan(),
        ref other => unreachable!("{other:?} in a composition"),
    }
}

fn to_component(value: Value) -> ComponentVal {
    match value.with_one_nan() {
        Value::I32(value) => ComponentVal::S32(value),
        Value::I64(value) => ComponentVal::S64(value),
        Value::F32(bits) => ComponentVal::Float32(f32::from_bits(bits)),
        Value::F64(bits) => ComponentVal::Float64(f64::from_bits(bits)),
        other => unreachable!("{other:?} in a composition"),
    }
}

fn number(ty: &ComponentType) -> Option<Type> {
    match ty {
        ComponentType::S32 => Some(Type::I32),
        ComponentType::S64 => Some(Type::I64),
        ComponentType::Float32 => Some(Type::F32),
        ComponentType::Float64 => Some(Type::F64),
        _ => None,
    }
}

fn failed(error: &wasmtime::Error) -> Outcome {
    if error.downcast_ref::<HostFailure>().is_some() {
        return Outcome::HostFailed;
    }
    if error.downcast_ref::<ThrownException>().is_some() {
        return Outcome::Trapped(TrapCode::UncaughtException);
    }
    let Some(trap) = error.downcast_ref::<Trap>() else {
        return Outcome::Failed(format!("{error:#}"));
    };
    let code = match trap {
        Trap::StackOverflow => TrapCode::StackOverflow,
        Trap::MemoryOutOfBounds => TrapCode::MemoryOutOfBounds,
        Trap::TableOutOfBounds => TrapCode::TableOutOfBounds,
        Trap::IndirectCallToNull => TrapCode::IndirectCallToNull,
        Trap::BadSignature => TrapCode::BadSignature,
        Trap::IntegerOverflow => TrapCode::IntegerOverflow,
        Trap::IntegerDivisionByZero => TrapCode::IntegerDivisionByZero,
        Trap::BadConversionToInteger => TrapCode::BadConversionToInteger,
        Trap::UnreachableCodeReached => TrapCode::Unreachable,
        Trap::NullReference => TrapCode::NullReference,
        Trap::UncaughtException => TrapCode::UncaughtException,
        Trap::AllocationTooLarge => return Outcome::Exhausted,
        other => return Outcome::Failed(format!("{other:?}: {error:#}")),
    };
    Outcome::trap(code)
}

impl Peer {
    /// A peer whose behaviour is as determined as ours.
    ///
    /// # Errors
    /// If it refuses its settings.
    pub fn new() -> Result<Peer> {
        let mut config = Config::new();
        config
            .cranelift_opt_level(OptLevel::None)
            .cranelift_nan_canonicalization(true)
            .relaxed_simd_deterministic(true)
            .max_wasm_stack(1 << 20)
            .wasm_custom_page_sizes(true)
            .wasm_exceptions(true)
            .wasm_extended_const(true)
            .wasm_function_references(true)
            .wasm_memory64(true)
            .wasm_multi_memory(true)
            .wasm_relaxed_simd(true)
            .wasm_tail_call(true)
            .wasm_wide_arithmetic(true);
        let engine = Engine::new(&config)?;
        Ok(Peer { engine })
    }

    fn store(&self) -> Store<Data> {
        let limits = StoreLimitsBuilder::new()
            .memory_size(MEMORY_LIMIT)
            .table_elements(TABLE_LIMIT)
            .build();
        let log = Vec::new();
        let mut store = Store::new(&self.engine, Data { log, limits });
        store.limiter(|data| &mut data.limits);
        store
    }

    /// The functions that a component exports, if they are of numbers.
    ///
    /// # Errors
    /// If the component is invalid.
    pub fn exports(&self, wasm: &[u8]) -> Result<Vec<(String, Signature)>> {
        let component = Component::new(&self.engine, wasm)?;
        let ty = component.component_type();
        let mut functions = Vec::new();
        for (name, export) in ty.exports(&self.engine) {
            let ComponentItem::ComponentFunc(function) = export.ty else {
                continue;
            };
            let params = function.params().map(|(_, ty)| number(&ty));
            let results = function.results().map(|ty| number(&ty));
            if let (Some(params), Some(results)) = (params.collect(), results.collect()) {
                functions.push((name.to_string(), Signature { params, results }));
            }
        }
        Ok(functions)
    }

    /// Runs a core module.
    ///
    /// # Errors
    /// If it is not compiled.
    pub fn run_core(&self, case: &CoreCase) -> Result<Trace> {
        let module = Module::new(&self.engine, &case.wasm)?;
        let mut store = self.store();
        let mut imports = Vec::new();
        for (number, import) in module.imports().enumerate() {
            let item = &case.interface.imports[number].2;
            imports.push(provide(&mut store, number, item, import.ty())?);
        }
        let mut trace = Trace::default();
        let instance = wasmtime::Instance::new(&mut store, &module, &imports);
        let (instance, outcome) = match instance {
            Ok(instance) => (Some(instance), Outcome::Returned(Vec::new())),
            Err(error) => (None, failed(&error)),
        };
        trace.push("instantiate", outcome, take_log(&mut store));
        let Some(instance) = instance else {
            return Ok(trace);
        };
        let missing = || anyhow!("an export is missing");
        let fuel = instance.get_global(&mut store, FUEL).ok_or_else(missing)?;
        for call in &case.calls {
            fuel.set(&mut store, Val::I32(case.fuel))?;
            let function = instance.get_func(&mut store, &call.name);
            let function = function.ok_or_else(missing)?;
            let arguments = call.arguments.iter().map(|v| to_core(&mut store, *v));
            let arguments: Vec<_> = arguments.collect::<Result<_>>()?;
            let mut results = vec![Val::I32(0); call.results.len()];
            let outcome = match function.call(&mut store, &arguments, &mut results) {
                Ok(()) => {
                    let values = results.iter().map(|value| from_core(&store, value));
                    Outcome::Returned(values.collect::<Result<_>>()?)
                }
                Err(error) => failed(&error),
            };
            store.take_pending_exception();
            trace.push(call.to_string(), outcome, take_log(&mut store));
            if trace.is_exhausted() {
                return Ok(trace);
            }
        }
        for (name, _) in case.state() {
            let values = match instance.get_export(&mut store, name).ok_or_else(missing)? {
                Extern::Memory(memory) => {
                    let bytes = memory.data(&store);
                    vec![
                        Value::I64(bytes.len() as i64),
                        Value::I64(hash(bytes) as i64),
                    ]
                }
                Extern::Table(table) => {
                    let entries = (0..table.size(&store)).map(|index| {
                        let entry = table.get(&mut store, index).ok_or_else(missing)?;
                        from_core(&store, &entry.into())
                    });
                    entries.collect::<Result<Vec<_>>>()?
                }
                Extern::Global(global) => {
                    let value = global.get(&mut store);
                    vec![from_core(&store, &value)?]
                }
                _ => continue,
            };
            let outcome = Outcome::Returned(values);
            trace.push(format!("read {name}"), outcome, Vec::new());
        }
        Ok(trace)
    }

    /// Runs a composition.
    ///
    /// # Errors
    /// If it is not compiled.
    pub fn run_composition(&self, case: &Composition) -> Result<Trace> {
        let component = Component::new(&self.engine, &case.wasm)?;
        let mut linker = Linker::<Data>::new(&self.engine);
        for (number, signature) in SIGNATURES.iter().enumerate() {
            linker.root().func_new(
                &host_name(number),
                move |mut store, _, arguments, results| {
                    let arguments: Vec<_> = arguments.iter().map(from_component).collect();
                    let outcome = host_function(number, &arguments, signature.results);
                    store.data_mut().log.push(HostCall { number, arguments });
                    for (to, value) in results.iter_mut().zip(outcome?) {
                        *to = to_component(value);
                    }
                    Ok(())
                },
            )?;
        }
        let mut trace = Trace::default();
        let mut live: Option<(Store<Data>, Instance)> = None;
        for call in &case.calls {
            if live.is_none() {
                let mut store = self.store();
                let instance = linker.instantiate(&mut store, &component);
                let log = take_log(&mut store);
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
                let count = function.ty(&*store).results().len();
                let mut results = vec![ComponentVal::Bool(false); count];
                let outcome = match function.call(&mut *store, &arguments, &mut results) {
                    Ok(()) => Outcome::Returned(results.iter().map(from_component).collect()),
                    Err(error) => failed(&error),
                };
                Ok((outcome, take_log(store)))
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
}

/// What an import gets: of functions those of the host, of everything else a new one.
fn provide(store: &mut Store<Data>, number: usize, item: &Item, ty: ExternType) -> Result<Extern> {
    Ok(match ty {
        ExternType::Func(ty) => {
            let Item::Func(_, Some(signature)) = item else {
                bail!("the interface is of another module");
            };
            let types = signature.results.clone();
            let function = Func::new(&mut *store, ty, move |mut caller, arguments, results| {
                let arguments = arguments.iter().map(|value| from_core(&caller, value));
                let arguments = arguments.collect::<Result<Vec<_>>>();
                let arguments = arguments.map_err(wasmtime::Error::from_anyhow)?;
                let outcome = host_function(number, &arguments, &types);
                caller.data_mut().log.push(HostCall { number, arguments });
                for (to, value) in results.iter_mut().zip(outcome?) {
                    let value = to_core(&mut caller, value);
                    *to = value.map_err(wasmtime::Error::from_anyhow)?;
                }
                Ok(())
            });
            function.into()
        }
        ExternType::Memory(ty) => Memory::new(store, ty)?.into(),
        ExternType::Table(ty) => {
            let null = null(ty.element())?;
            Table::new(store, ty, null)?.into()
        }
        ExternType::Global(ty) => {
            let zero = zero(ty.content())?;
            Global::new(store, ty, zero)?.into()
        }
        ExternType::Tag(ty) => Tag::new(store, &ty)?.into(),
    })
}
