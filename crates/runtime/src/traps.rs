//! Leaving guest code.

/// What a trap leaves behind for the call that returns it.
#[derive(Default)]
pub(crate) struct TrapRecord {}
