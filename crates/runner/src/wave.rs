//! WAVE: component-level values as text, by crate `wasm-wave`.

use anyhow::{Context, Result, bail, ensure};
use trampette_artifact::types::{DefinedType, FuncType, Type, TypeTable};
use trampette_runtime::Val;
use wasm_wave::untyped::UntypedFuncCall;
use wasm_wave::value::{Type as WaveType, Value};
use wasm_wave::wasm::{WasmTypeKind, WasmValue};

/// A parsed call: `name(arguments…)`.
pub struct Call<'s>(UntypedFuncCall<'s>);

impl<'s> Call<'s> {
    /// Parses a call.
    ///
    /// # Errors
    /// If the text is no call.
    pub fn parse(text: &'s str) -> Result<Call<'s>> {
        let call = UntypedFuncCall::parse(text);
        Ok(Call(call.with_context(|| {
            format!("`{text}` is no call in WAVE: name(arguments…)")
        })?))
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The arguments as the function's parameter types say.
    ///
    /// # Errors
    /// If they do not fit, or a type cannot be written in WAVE.
    pub fn arguments(&self, types: &TypeTable, func: &FuncType) -> Result<Vec<Val>> {
        let wave_types = func
            .params
            .iter()
            .map(|param| {
                wave_type(types, param.ty).with_context(|| format!("parameter `{}`", param.name))
            })
            .collect::<Result<Vec<_>>>()?;
        let values = self.values(&wave_types);
        let values = values.with_context(|| types.display_func(func))?;
        values.iter().map(from_wave).collect()
    }

    /// The arguments as values of these types.
    ///
    /// # Errors
    /// If they do not fit.
    pub fn values(&self, types: &[WaveType]) -> Result<Vec<Value>> {
        let values: Vec<Value> = self
            .0
            .to_wasm_params(types)
            .with_context(|| format!("the arguments of `{}`", self.name()))?;
        ensure!(
            values.len() == types.len(),
            "`{}` takes {} arguments",
            self.name(),
            types.len()
        );
        Ok(values)
    }
}

/// A call's results as text: `()` for none.
///
/// # Errors
/// If a type cannot be written in WAVE.
pub fn print(types: &TypeTable, func: &FuncType, results: &[Val]) -> Result<String> {
    let (Some(ty), Some(result)) = (func.result, results.first()) else {
        return Ok("()".to_string());
    };
    let value = to_wave(&wave_type(types, ty)?, result)?;
    Ok(wasm_wave::to_string(&value)?)
}

/// The WAVE type of a component-level type.
fn wave_type(types: &TypeTable, ty: Type) -> Result<WaveType> {
    let id = match ty {
        Type::Bool => return Ok(WaveType::BOOL),
        Type::S8 => return Ok(WaveType::S8),
        Type::U8 => return Ok(WaveType::U8),
        Type::S16 => return Ok(WaveType::S16),
        Type::U16 => return Ok(WaveType::U16),
        Type::S32 => return Ok(WaveType::S32),
        Type::U32 => return Ok(WaveType::U32),
        Type::S64 => return Ok(WaveType::S64),
        Type::U64 => return Ok(WaveType::U64),
        Type::F32 => return Ok(WaveType::F32),
        Type::F64 => return Ok(WaveType::F64),
        Type::Char => return Ok(WaveType::CHAR),
        Type::String => return Ok(WaveType::STRING),
        Type::ErrorContext => bail!("an error-context cannot be written in WAVE"),
        Type::Defined(id) => id,
    };
    let one = |ty: Type| wave_type(types, ty);
    let maybe = |ty: Option<Type>| ty.map(one).transpose();
    let wave = match &types[id] {
        DefinedType::List(element) => Some(WaveType::list(one(*element)?)),
        DefinedType::FixedLengthList(element, length) => {
            Some(WaveType::fixed_length_list(one(*element)?, *length))
        }
        DefinedType::Map(key, value) => WaveType::map(one(*key)?, one(*value)?),
        DefinedType::Record(fields) => {
            let fields = fields
                .iter()
                .map(|field| Ok((field.name.as_str(), one(field.ty)?)));
            WaveType::record(fields.collect::<Result<Vec<_>>>()?)
        }
        DefinedType::Tuple(elements) => WaveType::tuple(
            elements
                .iter()
                .map(|ty| one(*ty))
                .collect::<Result<Vec<_>>>()?,
        ),
        DefinedType::Variant(cases) => {
            let cases = cases
                .iter()
                .map(|case| Ok((case.name.as_str(), maybe(case.ty)?)));
            WaveType::variant(cases.collect::<Result<Vec<_>>>()?)
        }
        DefinedType::Enum(names) => WaveType::enum_ty(names.iter().map(String::as_str)),
        DefinedType::Flags(names) => WaveType::flags(names.iter().map(String::as_str)),
        DefinedType::Option(some) => Some(WaveType::option(one(*some)?)),
        DefinedType::Result { ok, err } => Some(WaveType::result(maybe(*ok)?, maybe(*err)?)),
        DefinedType::Own(_) | DefinedType::Borrow(_) => {
            bail!("a resource handle cannot be written in WAVE")
        }
    };
    wave.with_context(|| format!("{} cannot be written in WAVE", types.display(ty)))
}

fn from_wave(value: &Value) -> Result<Val> {
    let boxed = |value: Option<std::borrow::Cow<'_, Value>>| -> Result<Option<Box<Val>>> {
        value
            .map(|value| Ok(Box::new(from_wave(&value)?)))
            .transpose()
    };
    Ok(match value.kind() {
        WasmTypeKind::Bool => Val::Bool(value.unwrap_bool()),
        WasmTypeKind::S8 => Val::S8(value.unwrap_s8()),
        WasmTypeKind::S16 => Val::S16(value.unwrap_s16()),
        WasmTypeKind::S32 => Val::S32(value.unwrap_s32()),
        WasmTypeKind::S64 => Val::S64(value.unwrap_s64()),
        WasmTypeKind::U8 => Val::U8(value.unwrap_u8()),
        WasmTypeKind::U16 => Val::U16(value.unwrap_u16()),
        WasmTypeKind::U32 => Val::U32(value.unwrap_u32()),
        WasmTypeKind::U64 => Val::U64(value.unwrap_u64()),
        WasmTypeKind::F32 => Val::Float32(value.unwrap_f32()),
        WasmTypeKind::F64 => Val::Float64(value.unwrap_f64()),
        WasmTypeKind::Char => Val::Char(value.unwrap_char()),
        WasmTypeKind::String => Val::String(value.unwrap_string().into_owned()),
        WasmTypeKind::List | WasmTypeKind::FixedLengthList => Val::List(
            value
                .unwrap_list()
                .map(|value| from_wave(&value))
                .collect::<Result<_>>()?,
        ),
        WasmTypeKind::Tuple => Val::Tuple(
            value
                .unwrap_tuple()
                .map(|value| from_wave(&value))
                .collect::<Result<_>>()?,
        ),
        WasmTypeKind::Record => {
            let fields = value.unwrap_record();
            let fields = fields.map(|(name, value)| Ok((name.into_owned(), from_wave(&value)?)));
            Val::Record(fields.collect::<Result<_>>()?)
        }
        WasmTypeKind::Map => {
            let entries = value.unwrap_map();
            let entries = entries.map(|(key, value)| Ok((from_wave(&key)?, from_wave(&value)?)));
            Val::Map(entries.collect::<Result<_>>()?)
        }
        WasmTypeKind::Variant => {
            let (case, payload) = value.unwrap_variant();
            Val::Variant(case.into_owned(), boxed(payload)?)
        }
        WasmTypeKind::Enum => Val::Enum(value.unwrap_enum().into_owned()),
        WasmTypeKind::Flags => {
            Val::Flags(value.unwrap_flags().map(|name| name.into_owned()).collect())
        }
        WasmTypeKind::Option => Val::Option(boxed(value.unwrap_option())?),
        WasmTypeKind::Result => Val::Result(match value.unwrap_result() {
            Ok(ok) => Ok(boxed(ok)?),
            Err(err) => Err(boxed(err)?),
        }),
        other => bail!("a value of kind {other} is not supported"),
    })
}

fn to_wave(ty: &WaveType, value: &Val) -> Result<Value> {
    use wasm_wave::wasm::WasmType;
    let all = |types: Vec<WaveType>, values: &[Val]| -> Result<Vec<Value>> {
        types
            .iter()
            .zip(values)
            .map(|(ty, value)| to_wave(ty, value))
            .collect()
    };
    let payload = |ty: Option<WaveType>, value: &Option<Box<Val>>| -> Result<Option<Value>> {
        ty.zip(value.as_deref())
            .map(|(ty, value)| to_wave(&ty, value))
            .transpose()
    };
    Ok(match value {
        Val::Bool(value) => Value::make_bool(*value),
        Val::S8(value) => Value::make_s8(*value),
        Val::S16(value) => Value::make_s16(*value),
        Val::S32(value) => Value::make_s32(*value),
        Val::S64(value) => Value::make_s64(*value),
        Val::U8(value) => Value::make_u8(*value),
        Val::U16(value) => Value::make_u16(*value),
        Val::U32(value) => Value::make_u32(*value),
        Val::U64(value) => Value::make_u64(*value),
        Val::Float32(value) => Value::make_f32(*value),
        Val::Float64(value) => Value::make_f64(*value),
        Val::Char(value) => Value::make_char(*value),
        Val::String(value) => Value::make_string(value.as_str().into()),
        Val::List(values) => {
            let element = ty
                .list_element_type()
                .context("a list has an element type")?;
            let values = values
                .iter()
                .map(|value| to_wave(&element, value))
                .collect::<Result<Vec<_>>>()?;
            Value::make_list(ty, values)?
        }
        Val::Tuple(values) => {
            Value::make_tuple(ty, all(ty.tuple_element_types().collect(), values)?)?
        }
        Val::Record(fields) => {
            let mut values = Vec::new();
            for ((_, ty), (name, value)) in ty.record_fields().zip(fields) {
                values.push((name.as_str(), to_wave(&ty, value)?));
            }
            Value::make_record(ty, values)?
        }
        Val::Map(entries) => {
            let (key, value) = ty
                .map_key_value_types()
                .context("a map has key and value types")?;
            let entries = entries
                .iter()
                .map(|(k, v)| Ok((to_wave(&key, k)?, to_wave(&value, v)?)));
            Value::make_map(ty, entries.collect::<Result<Vec<_>>>()?)?
        }
        Val::Variant(case, value) => {
            let found = ty.variant_cases().find(|(name, _)| name == case);
            let (_, case_type) = found.with_context(|| format!("no case `{case}`"))?;
            Value::make_variant(ty, case, payload(case_type, value)?)?
        }
        Val::Enum(case) => Value::make_enum(ty, case)?,
        Val::Flags(names) => Value::make_flags(ty, names.iter().map(String::as_str))?,
        Val::Option(value) => Value::make_option(ty, payload(ty.option_some_type(), value)?)?,
        Val::Result(value) => {
            let (ok, err) = ty.result_types().context("a result has result types")?;
            let value = match value {
                Ok(value) => Ok(payload(ok, value)?),
                Err(value) => Err(payload(err, value)?),
            };
            Value::make_result(ty, value)?
        }
        Val::Resource(_) => bail!("a resource handle cannot be written in WAVE"),
        Val::ErrorContext(_) => bail!("an error-context cannot be written in WAVE"),
    })
}
