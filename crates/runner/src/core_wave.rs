//! Core values in calls on a command line: numbers as WAVE writes them.

use crate::names::{self, Callable};
use crate::needs_brackets;
use crate::output::shown;
use crate::wave::{Argument, Call, Param};
use anyhow::{Context, Result, bail};
use trampette_artifact::metadata::{CoreExport, CoreExportItem, CoreFuncType, CoreValueType};
use trampette_runtime::{Component, CoreExtern, CoreHost, CoreInstance, CoreVal, Store};
use wasm_wave::value::{Type as WaveType, Value};
use wasm_wave::wasm::WasmValue;

/// Instantiates a core module with what the host gives it, and calls one of its exports, after its
/// `_initialize` if it has one. Gives the results in WAVE: several as a tuple.
///
/// # Errors
/// If the module needs something of a host, `call` is no call of an exported function with numbers,
/// or the guest traps.
pub(crate) fn invoke<T: 'static>(
    component: &Component,
    store: &mut Store<T>,
    host: CoreHost<T>,
    call: &str,
) -> Result<String> {
    let call = Call::parse(call)?;
    let exports: Vec<(Callable<'_>, &str)> = callable(component);
    let (callables, names): (Vec<_>, Vec<_>) = exports.into_iter().unzip();
    let found = names::find(&callables, call.name())?;
    needs_brackets(&call, &callables[found])?;
    let instance = CoreInstance::new(store, component, host)?;
    if names[found] != INITIALIZE {
        call_if_exported(instance, store, INITIALIZE)?;
    }
    let func = instance.get_func(store, names[found])?;
    let ty = func.ty().clone();
    let results = func.call(store, &arguments(&call, &ty)?)?;
    print(&results)
}

/// Results as text: several as a tuple.
///
/// # Errors
/// If one is no number.
pub fn print(results: &[CoreVal]) -> Result<String> {
    let texts = results
        .iter()
        .map(|value| Ok(wasm_wave::to_string(&to_wave(*value)?)?));
    let texts = texts.collect::<Result<Vec<String>>>()?;
    Ok(match &texts[..] {
        [only] => only.clone(),
        all => format!("({})", all.join(", ")),
    })
}

/// What a library of WASI preview 1 wants to be called once, before anything else of it.
const INITIALIZE: &str = "_initialize";

/// Calls a function without parameters; whether there is one.
///
/// # Errors
/// If it traps, or has parameters.
pub(crate) fn call_if_exported<T: 'static>(
    instance: CoreInstance,
    store: &mut Store<T>,
    name: &str,
) -> Result<bool> {
    let Ok(CoreExtern::Func(function)) = instance.export(store, name) else {
        return Ok(false);
    };
    function.call(store, &[])?;
    Ok(true)
}

/// The exported functions.
fn callable(component: &Component) -> Vec<(Callable<'_>, &str)> {
    let Some(core) = &component.metadata().core else {
        return Vec::new();
    };
    let func = |export: &'_ CoreExport| match &export.item {
        CoreExportItem::Func { ty, .. } => Some(ty.clone()),
        CoreExportItem::HostFunc(id) => core.imports.get(*id).map(|import| import.ty.clone()),
        _ => None,
    };
    let exports = core.exports.iter().filter_map(|export| {
        let ty = func(export)?;
        let sample = |ty: &CoreValueType| match ty {
            CoreValueType::I32 | CoreValueType::I64 => "1",
            CoreValueType::F32 | CoreValueType::F64 => "1.5",
            _ => "…",
        };
        let arguments = ty.params.iter().map(sample).collect::<Vec<_>>().join(", ");
        let callable = Callable {
            path: vec![&export.name],
            arguments: format!("({arguments})"),
        };
        Some((callable, &export.name[..]))
    });
    exports.collect()
}

/// The arguments of a call as the parameters' types say. An `i32` or `i64` has no sign of its own:
/// it is written as a signed or an unsigned number.
///
/// # Errors
/// If they do not fit, or a type is none of numbers.
pub fn arguments(call: &Call, ty: &CoreFuncType) -> Result<Vec<CoreVal>> {
    let param = |(index, param): (usize, &CoreValueType)| {
        let ty = match param {
            CoreValueType::I32 | CoreValueType::I64 => WaveType::S64,
            CoreValueType::F32 => WaveType::F32,
            CoreValueType::F64 => WaveType::F64,
            other => bail!("a parameter of type {other:?} cannot be written in WAVE"),
        };
        Ok(Param {
            label: format!("parameter {}", index + 1),
            spelling: format!("{param:?}").to_lowercase(),
            ty,
        })
    };
    let params = ty.params.iter().enumerate().map(param);
    let params = params.collect::<Result<Vec<_>>>()?;
    let given = call.given(&params)?;
    let integer =
        |argument: &Argument<'_>, param: &Param, least: i128, most: i128| {
            let number = argument
                .integer()
                .filter(|number| (least..=most).contains(number));
            number.with_context(|| {
            let Param { label, spelling, .. } = param;
            let (name, text) = (shown(call.name()), shown(argument.text()));
            match argument.integer() {
                Some(_) => format!(
                    "{label} of `{name}`: `{text}` is out of the range of {spelling}, {least} to \
                     {most}"
                ),
                None => format!("{label} of `{name}`: `{text}` is no {spelling}"),
            }
        })
        };
    let value = |((argument, param), ty): ((&Argument<'_>, &Param), &CoreValueType)| {
        Ok(match ty {
            CoreValueType::I32 => {
                let number = integer(argument, param, i32::MIN.into(), u32::MAX.into())?;
                CoreVal::I32(number as i32)
            }
            CoreValueType::I64 => {
                let number = integer(argument, param, i64::MIN.into(), u64::MAX.into())?;
                CoreVal::I64(number as i64)
            }
            CoreValueType::F32 => {
                CoreVal::F32(argument.value(param, call.name())?.unwrap_f32().to_bits())
            }
            _ => CoreVal::F64(argument.value(param, call.name())?.unwrap_f64().to_bits()),
        })
    };
    given
        .iter()
        .zip(&params)
        .zip(&ty.params)
        .map(value)
        .collect()
}

fn to_wave(value: CoreVal) -> Result<Value> {
    Ok(match value {
        CoreVal::I32(value) => Value::make_s32(value),
        CoreVal::I64(value) => Value::make_s64(value),
        CoreVal::F32(bits) => Value::make_f32(f32::from_bits(bits)),
        CoreVal::F64(bits) => Value::make_f64(f64::from_bits(bits)),
        other => bail!("{other:?} cannot be written in WAVE"),
    })
}
