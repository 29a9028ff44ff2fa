//! Core values in calls on a command line: numbers as WAVE writes them.

use crate::wave::Call;
use anyhow::{Context, Result, bail};
use trampette_artifact::metadata::{CoreFuncType, CoreValueType};
use trampette_runtime::{Component, CoreHost, CoreInstance, CoreVal, Store};
use wasm_wave::value::{Type as WaveType, Value};
use wasm_wave::wasm::WasmValue;

/// Instantiates a core module, which may import nothing from the host, and calls one of its
/// exports. Gives the results in WAVE: several as a tuple.
///
/// # Errors
/// If the module needs something of a host, `call` is no call of an exported function with numbers,
/// or the guest traps.
pub(crate) fn invoke(component: &Component, store: &mut Store<()>, call: &str) -> Result<String> {
    let call = Call::parse(call)?;
    let instance = CoreInstance::new(store, component, CoreHost::new())?;
    let func = instance.get_func(store, call.name())?;
    let ty = func.ty().clone();
    let results = func.call(store, &arguments(&call, &ty)?)?;
    let texts = results
        .iter()
        .map(|value| Ok(wasm_wave::to_string(&to_wave(*value)?)?));
    let texts = texts.collect::<Result<Vec<String>>>()?;
    Ok(match &texts[..] {
        [only] => only.clone(),
        all => format!("({})", all.join(", ")),
    })
}

fn arguments(call: &Call<'_>, ty: &CoreFuncType) -> Result<Vec<CoreVal>> {
    let wave_type = |param: &CoreValueType| match param {
        CoreValueType::I32 | CoreValueType::I64 => Ok(WaveType::S64),
        CoreValueType::F32 => Ok(WaveType::F32),
        CoreValueType::F64 => Ok(WaveType::F64),
        other => bail!("a parameter of type {other:?} cannot be written in WAVE"),
    };
    let types = ty
        .params
        .iter()
        .map(wave_type)
        .collect::<Result<Vec<_>>>()?;
    let values = call.values(&types)?;
    let value = |(param, value): (&CoreValueType, &Value)| {
        Ok(match param {
            CoreValueType::I32 => CoreVal::I32(word(value.unwrap_s64())?),
            CoreValueType::I64 => CoreVal::I64(value.unwrap_s64()),
            CoreValueType::F32 => CoreVal::F32(value.unwrap_f32().to_bits()),
            _ => CoreVal::F64(value.unwrap_f64().to_bits()),
        })
    };
    ty.params.iter().zip(&values).map(value).collect()
}

/// An `i32`, which has no sign of its own: written as a signed or unsigned number.
fn word(number: i64) -> Result<i32> {
    let unsigned = || u32::try_from(number).map(u32::cast_signed);
    i32::try_from(number)
        .or_else(|_| unsigned())
        .with_context(|| format!("{number} has more than 32 bits"))
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
