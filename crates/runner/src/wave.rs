//! WAVE: component-level values as text, by crate `wasm-wave`.

use crate::output::shown;
use anyhow::{Context, Result, anyhow, bail};
use std::str::CharIndices;
use trampette_artifact::types::{DefinedType, FuncType, Type, TypeTable};
use trampette_runtime::{Name, Val};
use wasm_wave::ast::Node;
use wasm_wave::parser::ParserError;
use wasm_wave::untyped::UntypedFuncCall;
use wasm_wave::value::{Type as WaveType, Value};
use wasm_wave::wasm::{WasmType, WasmTypeKind, WasmValue};

/// A parsed call: `name(arguments…)`. The name is what stands before the first bracket; what is
/// between `"` in it is taken as it is, but for escapes (`\\`, `\"`, `\n`, `\u{1b}`).
pub struct Call {
    text: String,
    name: String,
    /// What is behind the name, as a call of `f`; `None` without brackets.
    arguments: Option<UntypedFuncCall<'static>>,
}

/// A parameter of what is called.
pub(crate) struct Param {
    /// What messages call it.
    pub label: String,
    /// Its type as messages spell it.
    pub spelling: String,
    /// Its type.
    pub ty: WaveType,
}

/// An argument that was given.
pub(crate) struct Argument<'c> {
    node: &'c Node,
    source: &'c str,
}

impl Call {
    /// Parses a call.
    ///
    /// # Errors
    /// If the text is no call.
    pub fn parse(text: &str) -> Result<Call> {
        let (name, rest) = split_name(text)?;
        let Some(name) = name else {
            let text = shown(text);
            bail!("`{text}` names no function to call: write name(arguments…)");
        };
        let arguments = match rest {
            "" => None,
            _ => {
                // The lexer panics at a comment that no line break ends.
                let source = format!("f{rest}\n");
                let parsed = UntypedFuncCall::parse(&source).map(UntypedFuncCall::into_owned);
                Some(parsed.map_err(|error| {
                    let problem = problem(&error, &source);
                    let text = shown(text);
                    anyhow!("`{text}` is no call as WAVE writes it: {problem}")
                })?)
            }
        };
        Ok(Call {
            text: text.to_string(),
            name,
            arguments,
        })
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The arguments as the function's parameter types say.
    ///
    /// # Errors
    /// If they do not fit, or a type cannot be written in WAVE.
    pub fn arguments(&self, types: &TypeTable, func: &FuncType) -> Result<Vec<Val>> {
        let param = |param: &trampette_artifact::types::Field| {
            let label = format!("parameter `{}`", param.name);
            let ty = wave_type(types, param.ty).with_context(|| label.clone())?;
            Ok(Param {
                label,
                spelling: types.display(param.ty),
                ty,
            })
        };
        let params = func.params.iter().map(param).collect::<Result<Vec<_>>>()?;
        let given = self.given(&params)?;
        let values = params.iter().enumerate().map(|(index, param)| {
            match given.get(index) {
                Some(argument) => from_wave(&argument.value(param, &self.name)?),
                // Only options may be left out.
                None => Ok(Val::Option(None)),
            }
        });
        values.collect()
    }

    /// The arguments that were given; those of options may be missing at the end.
    ///
    /// # Errors
    /// If there are too many or too few, or there are no brackets.
    pub(crate) fn given(&self, params: &[Param]) -> Result<Vec<Argument<'_>>> {
        let Some(call) = &self.arguments else {
            bail!(
                "`{}` is a function, and its arguments are missing",
                shown(&self.text)
            );
        };
        let nodes: Vec<&Node> = match call.params_node() {
            Some(node) => node.as_tuple()?.collect(),
            None => Vec::new(),
        };
        let needed = params
            .iter()
            .rposition(|param| param.ty.kind() != WasmTypeKind::Option);
        let needed = needed.map_or(0, |last| last + 1);
        if nodes.len() < needed || nodes.len() > params.len() {
            let all = params.iter().map(|param| &param.spelling[..]);
            bail!(
                "`{}` takes {} ({}), and {} given",
                shown(&self.name),
                count(params.len(), "argument"),
                all.collect::<Vec<_>>().join(", "),
                match nodes.len() {
                    1 => "1 is".to_string(),
                    many => format!("{many} are"),
                }
            );
        }
        let source = call.source();
        Ok(nodes
            .into_iter()
            .map(|node| Argument { node, source })
            .collect())
    }

    /// Whether arguments are given, if none.
    pub(crate) fn has_brackets(&self) -> bool {
        self.arguments.is_some()
    }
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

impl Argument<'_> {
    /// It as it was typed.
    pub(crate) fn text(&self) -> &str {
        self.source.get(self.node.span()).unwrap_or_default()
    }

    /// It as an integer, whatever the size.
    pub(crate) fn integer(&self) -> Option<i128> {
        self.text().parse().ok()
    }

    /// Its value.
    ///
    /// # Errors
    /// If it is no value of the parameter's type; the message names the parameter.
    pub(crate) fn value(&self, param: &Param, function: &str) -> Result<Value> {
        let value = self.node.to_wasm_value(&param.ty, self.source);
        value.map_err(|error| {
            let Param {
                label,
                spelling,
                ty,
            } = param;
            let (text, function) = (shown(self.text()), shown(function));
            let (place, source) = (error.span(), self.source);
            let problem = match range(ty.kind()).filter(|_| self.integer().is_some()) {
                Some((least, most)) => {
                    format!("is out of the range of {spelling}, {least} to {most}")
                }
                None if place == self.node.span() => format!("is no {spelling}"),
                None => format!("is no {spelling}: {}", problem(&error, source)),
            };
            anyhow!("{label} of `{function}`: `{text}` {problem}")
        })
    }
}

/// The least and the greatest integer of a type of integers.
fn range(kind: WasmTypeKind) -> Option<(i128, i128)> {
    Some(match kind {
        WasmTypeKind::S8 => (i8::MIN.into(), i8::MAX.into()),
        WasmTypeKind::U8 => (u8::MIN.into(), u8::MAX.into()),
        WasmTypeKind::S16 => (i16::MIN.into(), i16::MAX.into()),
        WasmTypeKind::U16 => (u16::MIN.into(), u16::MAX.into()),
        WasmTypeKind::S32 => (i32::MIN.into(), i32::MAX.into()),
        WasmTypeKind::U32 => (u32::MIN.into(), u32::MAX.into()),
        WasmTypeKind::S64 => (i64::MIN.into(), i64::MAX.into()),
        WasmTypeKind::U64 => (u64::MIN.into(), u64::MAX.into()),
        _ => return None,
    })
}

/// What a parser's error says, with the text that it is about in the place of its offsets.
fn problem(error: &ParserError, source: &str) -> String {
    let detail = error.detail().map(|detail| format!(": {detail}"));
    let place = match source.get(error.span()) {
        None | Some("") => String::new(),
        Some(text) => format!(" at `{}`", shown(text)),
    };
    let detail = shown(&detail.unwrap_or_default());
    format!("{}{detail}{place}", error.kind())
}

/// The name before the brackets, without its quotes, and the rest; `None` if nothing is there.
/// Blanks around what is not quoted are no part of it.
fn split_name(text: &str) -> Result<(Option<String>, &str)> {
    let text = text.trim();
    let mut name = String::new();
    // As much of it was quoted, or stands before something that was.
    let mut quoted = None;
    let mut rest = "";
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '(' => {
                rest = &text[index..];
                break;
            }
            '"' => {
                loop {
                    match chars.next() {
                        Some((_, '"')) => break,
                        Some((_, '\\')) => name.push(unescaped(&mut chars, text)?),
                        Some((_, c)) => name.push(c),
                        None => bail!("`{}`: a quote is not closed", shown(text)),
                    }
                }
                quoted = Some(name.len());
            }
            c => name.push(c),
        }
    }
    let kept = quoted.unwrap_or(0);
    name.truncate(kept + name[kept..].trim_end().len());
    let is_there = !name.is_empty() || quoted.is_some();
    Ok((is_there.then_some(name), rest))
}

/// The character that is meant by what follows a backslash: as messages spell them, or itself.
fn unescaped(chars: &mut CharIndices<'_>, text: &str) -> Result<char> {
    Ok(match chars.next() {
        Some((_, 'n')) => '\n',
        Some((_, 't')) => '\t',
        Some((_, 'r')) => '\r',
        Some((start, 'u')) => {
            let number = text[start + 1..].strip_prefix('{').and_then(|number| {
                let (digits, _) = number.split_once('}')?;
                chars.nth(digits.chars().count() + 1)?;
                char::from_u32(u32::from_str_radix(digits, 16).ok()?)
            });
            let text = shown(text);
            number.with_context(|| format!("`{text}`: `\\u` without the number of a character"))?
        }
        Some((_, c)) => c,
        None => bail!("`{}`: a quote is not closed", shown(text)),
    })
}

/// Arguments that could be typed for a function, with their brackets.
pub(crate) fn example(types: &TypeTable, func: &FuncType) -> String {
    let all = func.params.iter().map(|param| sample(types, param.ty, 0));
    format!("({})", all.collect::<Vec<_>>().join(", "))
}

/// A value of a type; `…` where it would be long or cannot be written.
fn sample(types: &TypeTable, ty: Type, depth: usize) -> String {
    let id = match ty {
        Type::Bool => return "true".into(),
        Type::F32 | Type::F64 => return "1.5".into(),
        Type::Char => return "'a'".into(),
        Type::String => return "\"text\"".into(),
        Type::ErrorContext => return "…".into(),
        Type::Defined(id) => id,
        _ => return "1".into(),
    };
    let ellipsis = "…".to_string();
    if depth == 4 {
        return ellipsis;
    }
    let one = |ty: &Type| sample(types, *ty, depth + 1);
    let case = |name: &str, payload: &Option<Type>| match payload {
        Some(ty) => format!("{name}({})", one(ty)),
        None => name.to_string(),
    };
    match &types[id] {
        DefinedType::List(element) => format!("[{}]", one(element)),
        DefinedType::FixedLengthList(element, length) if *length <= 4 => {
            format!("[{}]", vec![one(element); *length as usize].join(", "))
        }
        DefinedType::Map(key, value) => format!("{{{}: {}}}", one(key), one(value)),
        DefinedType::Record(fields) if fields.len() <= 6 => {
            let fields = fields
                .iter()
                .map(|field| format!("{}: {}", field.name, one(&field.ty)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        DefinedType::Tuple(elements) if elements.len() <= 6 => {
            format!(
                "({})",
                elements.iter().map(one).collect::<Vec<_>>().join(", ")
            )
        }
        DefinedType::Variant(cases) => cases
            .iter()
            .next()
            .map_or(ellipsis, |first| case(&first.name, &first.ty)),
        DefinedType::Enum(names) => names.first().cloned().unwrap_or(ellipsis),
        DefinedType::Flags(names) => {
            format!("{{{}}}", names.first().map_or("", |name| name.as_str()))
        }
        DefinedType::Option(some) => format!("some({})", one(some)),
        DefinedType::Result { ok, .. } => case("ok", ok),
        _ => ellipsis,
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
        DefinedType::Stream(_) | DefinedType::Future(_) => {
            bail!("the end of a stream or future cannot be written in WAVE")
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
            let fields = fields.map(|(name, value)| Ok((name.into(), from_wave(&value)?)));
            Val::Record(fields.collect::<Result<_>>()?)
        }
        WasmTypeKind::Map => {
            let entries = value.unwrap_map();
            let entries = entries.map(|(key, value)| Ok((from_wave(&key)?, from_wave(&value)?)));
            Val::Map(entries.collect::<Result<_>>()?)
        }
        WasmTypeKind::Variant => {
            let (case, payload) = value.unwrap_variant();
            Val::Variant(case.into(), boxed(payload)?)
        }
        WasmTypeKind::Enum => Val::Enum(value.unwrap_enum().into()),
        WasmTypeKind::Flags => Val::Flags(value.unwrap_flags().map(Name::from).collect()),
        WasmTypeKind::Option => Val::Option(boxed(value.unwrap_option())?),
        WasmTypeKind::Result => Val::Result(match value.unwrap_result() {
            Ok(ok) => Ok(boxed(ok)?),
            Err(err) => Err(boxed(err)?),
        }),
        other => bail!("a value of kind {other} is not supported"),
    })
}

fn to_wave(ty: &WaveType, value: &Val) -> Result<Value> {
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
            let found = ty.variant_cases().find(|(name, _)| *name == **case);
            let (_, case_type) = found.with_context(|| format!("no case `{case}`"))?;
            Value::make_variant(ty, case, payload(case_type, value)?)?
        }
        Val::Enum(case) => Value::make_enum(ty, case)?,
        Val::Flags(names) => Value::make_flags(ty, names.iter().map(Name::as_str))?,
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
        Val::Stream(_) | Val::Future(_) => bail!("a {} cannot be written in WAVE", value.kind()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_end_with_the_text() {
        for text in ["f(//", "f(1)//", "f(1) // one", "f(//1)"] {
            // Some are no calls; none panics.
            let call = Call::parse(text);
            assert_eq!(call.is_ok(), text.starts_with("f(1)"), "{text}");
        }
    }

    #[test]
    fn names_are_what_was_quoted() {
        let cases = [
            (r#"f(1)"#, Some("f")),
            (r#"  a b  ()"#, Some("a b")),
            (r#"" a "()"#, Some(" a ")),
            (r#""" ()"#, Some("")),
            (r#""\n\"\\\u{1b}\x" ()"#, Some("\n\"\\\u{1b}x")),
            (r#"my:pkg/"é(" #f ()"#, Some("my:pkg/é( #f")),
            (r#""\u{110000}"()"#, None),
            (r#""\u{"()"#, None),
            (r#""\u"()"#, None),
            (r#""\"#, None),
            ("()", None),
            ("", None),
        ];
        for (text, name) in cases {
            let call = Call::parse(text).ok();
            assert_eq!(call.as_ref().map(Call::name), name, "{text}");
        }
    }
}
