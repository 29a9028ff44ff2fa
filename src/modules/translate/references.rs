//! References: 32-bit ids, 0 is null. (`ref.func` is with the calls.)

use super::Translator;
use crate::codegen::clif_trap;
use anyhow::Result;
use cranelift_codegen::ir::{InstBuilder, types};
use trampette_artifact::trap::TrapCode;
use wasmparser::Operator;

pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> Result<bool> {
    match op {
        Operator::RefNull { .. } => {
            let null = t.builder.ins().iconst(types::I32, 0);
            t.push1(null);
        }
        Operator::RefIsNull => {
            let reference = t.pop1();
            let null = t.is_null(reference);
            let null = t.builder.ins().uextend(types::I32, null);
            t.push1(null);
        }
        Operator::RefAsNonNull => {
            let reference = t.peek1();
            t.builder
                .ins()
                .trapz(reference, clif_trap(TrapCode::NullReference));
        }
        _ => return Ok(false),
    }
    Ok(true)
}
