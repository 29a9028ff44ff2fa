//! Inlining: whole-component, bottom-up, deterministic.
//!
//! | file | subject |
//! | --- | --- |
//! | [`graph`] | who calls whom, among everything that is reachable |
//! | [`heuristics`] | whether a call is worth it |
//! | [`apply`] | putting bodies in the place of calls |
//! | [`positions`] | source positions that survive it |
//!
//! A function is inlined into only when everything that it calls (outside its own strongly
//! connected component) has been, so each decision depends on finished callees and on counts in the
//! graph, never on which thread came first, and calls within one are never inlined. `compile`
//! drives it. Core functions, adapters, lowered imports, resource trampolines and unsafe intrinsics
//! take part alike; entries and the trampolines of builtins stay whole.
//!
//! An exception must not cross a canonical boundary: the runtime knows one by the frame of its
//! trampoline. In programs with tags, therefore, trampolines neither inline nor are inlined.

pub(crate) mod apply;
pub(crate) mod graph;
pub(crate) mod heuristics;
pub(crate) mod positions;

use cranelift_codegen::ir;
use positions::Positions;

/// A function on its way to machine code: its CLIF, and the positions that the locations in it
/// stand for.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// The CLIF.
    pub func: ir::Function,
    /// What its source locations stand for.
    pub positions: Positions,
    /// Whether code of different origins is in it: a trampoline's and a function's, or that of two
    /// modules.
    pub is_mixed: bool,
}

impl Body {
    /// A function that nothing was inlined into.
    pub(crate) fn new(func: ir::Function) -> Body {
        Body {
            func,
            positions: Positions::default(),
            is_mixed: false,
        }
    }
}
