//! Copies and fills whose length only the run knows: short ones as fast as can be, long ones so
//! that an interrupt ends them. No signal stops the host's own code, and one operation may take a
//! second.

use super::{call_builtin, call_service, known, start_block};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, types};
use cranelift_frontend::FunctionBuilder;
use trampette_artifact::builtin::{Builtin, LONG};

/// Calls `builtin`, a copy or a fill whose last argument is a count: in its [long
/// form](Builtin::long) if the count is long. `context` is the function's own context pointer.
///
/// # Panics
/// If `builtin` has no long form.
pub(crate) fn call_bulk(
    builder: &mut FunctionBuilder<'_>,
    context: ir::Value,
    builtin: Builtin,
    args: &[ir::Value],
) {
    let long = builtin.long().expect("a copy or a fill");
    let count = *args.last().expect("it takes a count");
    let is_long = match known::extended(&builder.func.dfg, count) {
        Some(count) if count <= LONG => {
            call_service(builder, context, builtin, args);
            return;
        }
        Some(_) => builder.ins().iconst(types::I8, 1),
        None => {
            let limit = builder.ins().iconst(types::I64, LONG.cast_signed());
            builder.ins().icmp(IntCC::UnsignedGreaterThan, count, limit)
        }
    };
    let [in_steps, at_once, done] = [(); 3].map(|()| builder.create_block());
    builder.set_cold_block(in_steps);
    builder.ins().brif(is_long, in_steps, &[], at_once, &[]);

    start_block(builder, in_steps);
    // Its trampoline traps after an interrupt.
    call_builtin(builder, context, long, args);
    builder.ins().jump(done, &[]);

    start_block(builder, at_once);
    call_service(builder, context, builtin, args);
    builder.ins().jump(done, &[]);

    start_block(builder, done);
}
