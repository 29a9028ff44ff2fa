//! Scalar numeric operators.

use super::Translator;
use anyhow::Result;
use wasmparser::Operator;

/// Translates `op` if it is of this family; says whether it was.
pub(super) fn translate(translator: &mut Translator<'_, '_>, op: &Operator<'_>) -> Result<bool> {
    let _ = (translator, op);
    Ok(false)
}
