//! Component-level values in scripts: arguments, and comparing results.

use anyhow::{Result, bail};
use trampette_runtime::{Name, Val};
use wast::component::WastVal;
use wast::{WastArg, WastRet};

/// The values of a call's arguments.
///
/// # Errors
/// If one of them is a core value.
pub(super) fn arguments(arguments: &[WastArg<'_>]) -> Result<Vec<Val>> {
    let value = |argument: &WastArg<'_>| match argument {
        WastArg::Component(value) => Ok(value_of(value)),
        _ => bail!("a core value was given to a component's function"),
    };
    arguments.iter().map(value).collect()
}

fn value_of(value: &WastVal<'_>) -> Val {
    let boxed =
        |value: &Option<Box<WastVal<'_>>>| value.as_ref().map(|value| Box::new(value_of(value)));
    let all = |values: &[WastVal<'_>]| values.iter().map(value_of).collect();
    match value {
        WastVal::Bool(value) => Val::Bool(*value),
        WastVal::U8(value) => Val::U8(*value),
        WastVal::S8(value) => Val::S8(*value),
        WastVal::U16(value) => Val::U16(*value),
        WastVal::S16(value) => Val::S16(*value),
        WastVal::U32(value) => Val::U32(*value),
        WastVal::S32(value) => Val::S32(*value),
        WastVal::U64(value) => Val::U64(*value),
        WastVal::S64(value) => Val::S64(*value),
        WastVal::F32(value) => Val::Float32(f32::from_bits(value.bits)),
        WastVal::F64(value) => Val::Float64(f64::from_bits(value.bits)),
        WastVal::Char(value) => Val::Char(*value),
        WastVal::String(value) => Val::String(value.to_string()),
        WastVal::List(values) => Val::List(all(values)),
        WastVal::Map(entries) => {
            let entry =
                |(key, value): &(WastVal<'_>, WastVal<'_>)| (value_of(key), value_of(value));
            Val::Map(entries.iter().map(entry).collect())
        }
        WastVal::Record(fields) => {
            let field = |(name, value): &(&str, WastVal<'_>)| (Name::from(*name), value_of(value));
            Val::Record(fields.iter().map(field).collect())
        }
        WastVal::Tuple(values) => Val::Tuple(all(values)),
        WastVal::Variant(case, payload) => Val::Variant((*case).into(), boxed(payload)),
        WastVal::Enum(case) => Val::Enum((*case).into()),
        WastVal::Option(value) => Val::Option(boxed(value)),
        WastVal::Result(Ok(value)) => Val::Result(Ok(boxed(value))),
        WastVal::Result(Err(value)) => Val::Result(Err(boxed(value))),
        WastVal::Flags(names) => Val::Flags(names.iter().map(|name| Name::from(*name)).collect()),
    }
}

/// Checks the results of a call.
///
/// # Errors
/// If they are not the expected ones, with both.
pub(super) fn compare_results(found: &[Val], expected: &[WastRet<'_>]) -> Result<()> {
    if found.len() != expected.len() {
        bail!("expected {} results, found {}", expected.len(), found.len());
    }
    for (found, expected) in found.iter().zip(expected) {
        let WastRet::Component(expected) = expected else {
            bail!("a core value is expected of a component's function");
        };
        let expected = value_of(expected);
        if !equal(found, &expected) {
            bail!("expected {expected:?}, found {found:?}");
        }
    }
    Ok(())
}

/// Floats are compared by their bits, flags as sets, everything else by structure.
fn equal(found: &Val, expected: &Val) -> bool {
    let optional = |found: &Option<Box<Val>>, expected: &Option<Box<Val>>| match (found, expected) {
        (None, None) => true,
        (Some(found), Some(expected)) => equal(found, expected),
        _ => false,
    };
    match (found, expected) {
        (Val::Float32(found), Val::Float32(expected)) => found.to_bits() == expected.to_bits(),
        (Val::Float64(found), Val::Float64(expected)) => found.to_bits() == expected.to_bits(),
        (Val::List(found), Val::List(expected)) | (Val::Tuple(found), Val::Tuple(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| equal(f, e))
        }
        (Val::Map(found), Val::Map(expected)) => {
            let same =
                |((fk, fv), (ek, ev)): (&(Val, Val), &(Val, Val))| equal(fk, ek) && equal(fv, ev);
            found.len() == expected.len() && found.iter().zip(expected).all(same)
        }
        (Val::Record(found), Val::Record(expected)) => {
            let same = |((fname, f), (ename, e)): (&(Name, Val), &(Name, Val))| {
                fname == ename && equal(f, e)
            };
            found.len() == expected.len() && found.iter().zip(expected).all(same)
        }
        (Val::Variant(fcase, f), Val::Variant(ecase, e)) => fcase == ecase && optional(f, e),
        (Val::Option(found), Val::Option(expected)) => optional(found, expected),
        (Val::Result(Ok(found)), Val::Result(Ok(expected)))
        | (Val::Result(Err(found)), Val::Result(Err(expected))) => optional(found, expected),
        (Val::Flags(found), Val::Flags(expected)) => {
            let sorted = |names: &[Name]| {
                let mut names = names.to_vec();
                names.sort();
                names.dedup();
                names
            };
            sorted(found) == sorted(expected)
        }
        (found, expected) => found == expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_equal_by_bits_and_flags_as_sets() {
        let nan = Val::Float32(f32::from_bits(0x7fc0_0000));
        assert!(equal(&nan, &nan));
        assert!(!equal(&nan, &Val::Float32(f32::from_bits(0xffc0_0000))));
        assert!(!equal(&Val::Float64(0.0), &Val::Float64(-0.0)));
        let flags =
            |names: &[&str]| Val::Flags(names.iter().map(|name| Name::from(*name)).collect());
        assert!(equal(&flags(&["a", "b"]), &flags(&["b", "a"])));
        assert!(!equal(&flags(&["a"]), &flags(&["b"])));
    }

    #[test]
    fn kinds_and_lengths_must_match() {
        let list = Val::List(vec![Val::U8(1)]);
        assert!(!equal(&list, &Val::Tuple(vec![Val::U8(1)])));
        assert!(!equal(&list, &Val::List(vec![])));
        assert!(!equal(&Val::U8(1), &Val::U32(1)));
        let some = Val::Option(Some(Box::new(Val::U8(1))));
        assert!(!equal(&some, &Val::Option(None)));
    }
}
