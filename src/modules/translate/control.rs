//! Control: blocks, branches, returns, `unreachable`, `select`.

/// An open block.
pub(super) struct Frame {}
