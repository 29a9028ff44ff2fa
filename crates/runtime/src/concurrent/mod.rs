//! Tasks: guest code that waits while other guest code runs.
//!
//! | file | subject |
//! | --- | --- |
//! | `switch` | leaving one stack for another, in machine code |
//! | `chain` | resuming and suspending pooled stacks, and how a trap passes between them |
//!
//! The stacks themselves are in `memory/stack_pool.rs`; those of a store are counted, and searched
//! for references, in `machine/stacks.rs`.

pub(crate) mod chain;
pub(crate) mod switch;

#[cfg(test)]
mod tests;
