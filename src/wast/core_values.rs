//! Core values of scripts: arguments, and comparing results with patterns.

use super::script::{core_argument, core_result};
use anyhow::{Context, Result, bail, ensure};
use trampette_runtime::CoreVal;
use wast::core::{
    AbstractHeapType, HeapType, NanPattern, V128Const, V128Pattern, WastArgCore, WastRetCore,
};
use wast::token::{F32, F64};
use wast::{WastArg, WastRet};

/// The values of a call's arguments.
///
/// # Errors
/// If one is not a core value, or of garbage collection.
pub(super) fn arguments(arguments: &[WastArg<'_>]) -> Result<Vec<CoreVal>> {
    let one = |argument| {
        let argument = core_argument(argument).context("an argument is not a core value")?;
        Ok(match argument {
            WastArgCore::I32(value) => CoreVal::I32(*value),
            WastArgCore::I64(value) => CoreVal::I64(*value),
            WastArgCore::F32(value) => CoreVal::F32(value.bits),
            WastArgCore::F64(value) => CoreVal::F64(value.bits),
            WastArgCore::V128(value) => CoreVal::V128(v128(value)),
            WastArgCore::RefNull(heap) => null(heap)?,
            WastArgCore::RefExtern(number) => CoreVal::ExternRef(Some(*number)),
            other => bail!("{other:?} needs garbage collection"),
        })
    };
    arguments.iter().map(one).collect()
}

fn v128(value: &V128Const) -> [u8; 16] {
    value.to_le_bytes()
}

/// The null of a heap type's hierarchy.
fn null(heap: &HeapType<'_>) -> Result<CoreVal> {
    use AbstractHeapType as A;
    Ok(match heap {
        HeapType::Abstract {
            ty: A::Func | A::NoFunc,
            ..
        }
        | HeapType::Concrete(_) => CoreVal::FuncRef(None),
        HeapType::Abstract {
            ty: A::Extern | A::NoExtern,
            ..
        } => CoreVal::ExternRef(None),
        HeapType::Abstract {
            ty: A::Exn | A::NoExn,
            ..
        } => CoreVal::ExnRef(None),
        other => bail!("{other:?} needs garbage collection"),
    })
}

/// Compares all results with what a script expects.
///
/// # Errors
/// If they differ.
pub(super) fn compare_results(found: &[CoreVal], expected: &[WastRet<'_>]) -> Result<()> {
    ensure!(
        found.len() == expected.len(),
        "expected {} results, found {found:?}",
        expected.len()
    );
    for (found, expected) in found.iter().zip(expected) {
        let expected = core_result(expected).context("an expected result is not a core value")?;
        ensure!(
            matches(*found, expected)?,
            "expected {expected:?}, found {}",
            shown(*found)
        );
    }
    Ok(())
}

fn shown(value: CoreVal) -> String {
    match value {
        CoreVal::F32(bits) => format!("F32({bits:#x}, {})", f32::from_bits(bits)),
        CoreVal::F64(bits) => format!("F64({bits:#x}, {})", f64::from_bits(bits)),
        CoreVal::V128(bytes) => format!("V128({:#034x})", u128::from_le_bytes(bytes)),
        other => format!("{other:?}"),
    }
}

fn matches(found: CoreVal, expected: &WastRetCore<'_>) -> Result<bool> {
    Ok(match (found, expected) {
        (CoreVal::I32(found), WastRetCore::I32(expected)) => found == *expected,
        (CoreVal::I64(found), WastRetCore::I64(expected)) => found == *expected,
        (CoreVal::F32(found), WastRetCore::F32(expected)) => f32_matches(found, expected),
        (CoreVal::F64(found), WastRetCore::F64(expected)) => f64_matches(found, expected),
        (CoreVal::V128(found), WastRetCore::V128(expected)) => v128_matches(found, expected),
        (
            CoreVal::FuncRef(None) | CoreVal::ExternRef(None) | CoreVal::ExnRef(None),
            WastRetCore::RefNull(None),
        ) => true,
        (found, WastRetCore::RefNull(Some(heap))) => found == null(heap)?,
        (CoreVal::FuncRef(_), WastRetCore::RefFunc(None)) => true,
        (CoreVal::FuncRef(found), WastRetCore::RefFunc(Some(_))) => found.is_some(),
        (CoreVal::ExternRef(_), WastRetCore::RefExtern(None)) => true,
        (CoreVal::ExternRef(found), WastRetCore::RefExtern(expected)) => found == *expected,
        (found, WastRetCore::Either(all)) => {
            for expected in all {
                if matches(found, expected)? {
                    return Ok(true);
                }
            }
            false
        }
        _ => false,
    })
}

fn f32_matches(found: u32, expected: &NanPattern<F32>) -> bool {
    match expected {
        NanPattern::CanonicalNan => found & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => found & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(value) => found == value.bits,
    }
}

fn f64_matches(found: u64, expected: &NanPattern<F64>) -> bool {
    const QUIET: u64 = 0x7ff8_0000_0000_0000;
    match expected {
        NanPattern::CanonicalNan => found & 0x7fff_ffff_ffff_ffff == QUIET,
        NanPattern::ArithmeticNan => found & QUIET == QUIET,
        NanPattern::Value(value) => found == value.bits,
    }
}

/// Compares in the lane shape that the script uses.
fn v128_matches(found: [u8; 16], expected: &V128Pattern) -> bool {
    fn lanes<const SIZE: usize>(bytes: [u8; 16]) -> impl Iterator<Item = [u8; SIZE]> {
        (0..16 / SIZE).map(move |at| std::array::from_fn(|byte| bytes[at * SIZE + byte]))
    }
    match expected {
        V128Pattern::I8x16(expected) => lanes(found).map(i8::from_le_bytes).eq(*expected),
        V128Pattern::I16x8(expected) => lanes(found).map(i16::from_le_bytes).eq(*expected),
        V128Pattern::I32x4(expected) => lanes(found).map(i32::from_le_bytes).eq(*expected),
        V128Pattern::I64x2(expected) => lanes(found).map(i64::from_le_bytes).eq(*expected),
        V128Pattern::F32x4(expected) => {
            let mut pairs = lanes(found).map(u32::from_le_bytes).zip(expected);
            pairs.all(|(found, expected)| f32_matches(found, expected))
        }
        V128Pattern::F64x2(expected) => {
            let mut pairs = lanes(found).map(u64::from_le_bytes).zip(expected);
            pairs.all(|(found, expected)| f64_matches(found, expected))
        }
    }
}
