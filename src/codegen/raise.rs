//! Explicit traps that leave by compiled code: a cold call that records the code and resumes at the
//! entry frame. Far cheaper than a faulting instruction, whose signal costs microseconds.

use super::{call_builtin, clif_trap, start_block};
use cranelift_codegen::ir::{self, InstBuilder, types};
use cranelift_frontend::FunctionBuilder;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::trap::TrapCode;

/// Ends the current block by raising `code`. `payload` parameterises the code's text; it is
/// zero-extended to 64 bits if narrower. `context` is the function's own context pointer.
pub(crate) fn emit_raise(
    builder: &mut FunctionBuilder<'_>,
    context: ir::Value,
    code: TrapCode,
    payload: Option<ir::Value>,
) {
    let number = builder.ins().iconst(types::I32, i64::from(code.number()));
    let payload = match payload {
        Some(value) if builder.func.dfg.value_type(value) == types::I64 => value,
        Some(value) => builder.ins().uextend(types::I64, value),
        None => builder.ins().iconst(types::I64, 0),
    };
    call_builtin(builder, context, Builtin::Raise, &[number, payload]);
    // Never reached: tells Cranelift that the block ends here.
    builder.ins().trap(clif_trap(code));
}

/// Raises `code` out of line if `condition` is not zero, and goes on otherwise in a new block.
pub(crate) fn emit_trap_if(
    builder: &mut FunctionBuilder<'_>,
    context: ir::Value,
    condition: ir::Value,
    code: TrapCode,
    payload: Option<ir::Value>,
) {
    let raise = builder.create_block();
    let go_on = builder.create_block();
    builder.set_cold_block(raise);
    builder.ins().brif(condition, raise, &[], go_on, &[]);
    start_block(builder, raise);
    emit_raise(builder, context, code, payload);
    start_block(builder, go_on);
}
