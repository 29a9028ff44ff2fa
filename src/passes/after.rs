//! The passes after Cranelift's optimiser, in their order: what it leaves.

use super::{addresses, byte_loops, constant_stores, constants, counters, neighbours};
use crate::layout::Layout;
use cranelift_codegen::Context;

/// Runs the passes over an optimised function, whose control flow graph and dominator tree
/// `context` has, then as before.
pub(crate) fn improve(context: &mut Context, layout: &Layout) {
    let func = &mut context.func;
    // Which relies on where memories end.
    if layout.memories_end_early() {
        addresses::share_indices(func, &context.domtree);
    }
    let has_new_blocks = byte_loops::skip_equal_bytes(func, &mut context.cfg);
    counters::test_next_values(func);
    constant_stores::store_immediates(func);
    // Stores of immediates next to each other, which the pass before has made.
    neighbours::merge_stores(func);
    constants::rematerialize(func);
    if has_new_blocks {
        context.compute_domtree();
    }
}
